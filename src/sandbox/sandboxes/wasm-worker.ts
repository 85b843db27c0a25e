/** The thread: takes one suite at a time and answers with its `SuiteRun`. Holds no state between suites. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../core/errors.ts';
import { type SuiteJob, SuiteRunner } from './wasm-suite.ts';

/** QuickJS asks the thread's own `Date` for the local zone; this thread lives in UTC. */
Date.prototype.getTimezoneOffset = () => 0;
for (const part of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds'] as const) {
  Object.defineProperty(Date.prototype, `get${part}`, { value: Date.prototype[`getUTC${part}`] });
}

const port = parentPort;
if (port === null) throw new Error('wasm-worker is started by the pool only');
const runner = new SuiteRunner();
port.on('message', async (job: SuiteJob) => {
  try {
    await runner.prepare(job.memoryBytes);
    port.postMessage({ begun: true });
    port.postMessage({ run: await runner.run(job) });
  } catch (thrown) {
    port.postMessage({ error: messageOf(thrown) });
  }
});
