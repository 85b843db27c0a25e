/**
 * `node test/fuzz/checkpoints.ts --runs 10000 --seed 1`: broken and hostile model folders, with a line of progress every
 * few seconds. Exit code 1 when one of them did what none may do.
 */
import { parseArgs } from 'node:util';
import { type CheckpointFuzzReport, fuzzCheckpoints } from './fuzz-checkpoints.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '2000' }, seed: { type: 'string', default: '0' } },
});

let shownAt = 0;
function progress({ runs, seconds, faults }: CheckpointFuzzReport): void {
  if (seconds - shownAt < 5) return;
  shownAt = seconds;
  console.log(`${runs} folders, ${(runs / seconds).toFixed(0)}/s, ${faults.length} faults`);
}

const report = await fuzzCheckpoints({ runs: Number(values.runs), seed: values.seed, onProgress: progress });
for (const [kind, outcomes] of [...report.outcomes].sort()) console.log(kind.padEnd(40), JSON.stringify(outcomes));
for (const fault of report.faults) console.log(`FAULT ${fault}`);
const memory = (report.mostRss / 2 ** 20).toFixed(0);
console.log(
  `${report.runs} folders in ${report.seconds.toFixed(1)} s, at most ${memory} MiB, ${report.faults.length} faults`,
);
process.exitCode = report.faults.length === 0 ? 0 : 1;
