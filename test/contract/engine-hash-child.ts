/** A child process that serves the hash engine; prompts that start with id 13 kill it. */
import { Socket } from 'node:net';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { serveEngine } from '../../src/host/serve-engine.ts';
import { HashNative } from './engine-hash-native.ts';

const parent = new Socket({ fd: 3, readable: true, writable: true });
parent.on('close', () => process.exit(0));
await serveEngine(parent, async (options) => {
  const engine = await openEmbedded(options, new HashNative());
  const { generate } = engine;
  engine.generate = (request) => {
    if (request.ids[0] === 13) process.kill(process.pid, 'SIGKILL');
    return generate.call(engine, request);
  };
  return engine;
});
