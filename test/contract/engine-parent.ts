/** A process that owns an engine's child, prints the child's id, and waits to be killed. */
import { createEngineHost } from '../../src/host/engine-host.ts';

const entry = new URL('./engine-hash-child.ts', import.meta.url);
const host = await createEngineHost({ entry, model: process.argv[2] as string });
console.log(host.processId);
setInterval(() => undefined, 1000);
