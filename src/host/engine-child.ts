/**
 * Entry of the child process that owns the native engine. Its parent speaks on file descriptor 3; when that closes, by
 * `close` or by the parent's death, the process ends.
 */
import { Socket } from 'node:net';
import { openEmbedded } from '../engine/engines/embedded.ts';
import { serveEngine } from './serve-engine.ts';

// Ctrl-C reaches the whole process group; the parent decides when the engine ends.
process.on('SIGINT', () => undefined);
const parent = new Socket({ fd: 3, readable: true, writable: true });
// At once, whatever runs: a training step nobody waits for must not outlive the run that asked for it.
parent.on('close', () => process.exit(0));
await serveEngine(parent, openEmbedded);
process.exit(0);
