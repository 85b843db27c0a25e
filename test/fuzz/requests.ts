/**
 * `node test/fuzz/requests.ts --requests 1000000 --seed 1`: hostile requests against the real proxy, with a line of
 * progress every few seconds. Exit code 1 when anything came back that should not.
 */
import { parseArgs } from 'node:util';
import { type FuzzReport, fuzzRequests } from './fuzz-requests.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '0' },
    connections: { type: 'string', default: '8' },
    heavy: { type: 'boolean', default: false },
    'no-sweep': { type: 'boolean', default: false },
  },
});

let shownAt = 0;
function progress({ requests, seconds, faults, turns, rss }: FuzzReport): void {
  if (seconds - shownAt < 5) return;
  shownAt = seconds;
  const memory = rss.length === 0 ? '' : `, ${((rss.at(-1) as number) / 2 ** 20).toFixed(0)} MiB`;
  console.log(
    `${requests} requests, ${(requests / seconds).toFixed(0)}/s, ${turns} turns, ${faults.length} faults${memory}`,
  );
}

const report = await fuzzRequests({
  requests: Number(values.requests),
  seed: values.seed,
  connections: Number(values.connections),
  heavy: values.heavy,
  sweep: !values['no-sweep'],
  onProgress: progress,
});
for (const [kind, statuses] of [...report.answers].sort()) {
  const counts = [...statuses].sort().map(([status, count]) => `${status}: ${count}`);
  console.log(`${kind.padEnd(16)} ${counts.join(', ')}`);
}
const mebibytes = (bytes: readonly number[]): string => bytes.map((it) => (it / 2 ** 20).toFixed(0)).join(' ');
console.log(`heap after each round, MiB: ${mebibytes(report.heap)}`);
console.log(`resident after each round, MiB: ${mebibytes(report.rss)}`);
for (const fault of report.faults) console.log(`FAULT ${fault}`);
const rate = (report.requests / report.seconds).toFixed(0);
console.log(
  `${report.requests} requests in ${report.seconds.toFixed(1)} s (${rate}/s), ${report.turns} turns, ${report.faults.length} faults`,
);
process.exitCode = report.faults.length === 0 ? 0 : 1;
