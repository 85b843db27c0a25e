/**
 * Kills a process that records turns, with SIGKILL at random moments, and looks whether every turn that it acknowledged is in
 * the record, whole and once; whether the record can be read; and whether an index that has grown with it is the one that is
 * built anew.
 *
 *   node scripts/kill-points.ts [--points 1000] [--seed SEED]
 *
 * The writer (test/durability/turn-writer.ts) appends turns of several sessions at once and writes each one's id to a pipe
 * when it is durable; now and then it erases a session that it has finished. Lives go on in one directory for 25 points
 * each, so that stores with many segments, torn tails and removals are killed, too.
 *
 * Not covered: power that fails (test/durability/power-loss.test.ts).
 */
import { parseArgs } from 'node:util';
import { killPoints } from '../test/durability/kill-points.ts';

const { values } = parseArgs({
  options: { points: { type: 'string', default: '1000' }, seed: { type: 'string', default: String(Date.now()) } },
});
const points = Number(values.points);
if (!Number.isSafeInteger(points) || points < 1) throw new Error(`--points ${values.points}: give a number from 1`);
console.log(`kill-points: ${points} points, seed ${values.seed}`);
const result = await killPoints({ points, seed: values.seed, say: (line) => console.log(line) });
for (const problem of result.problems) console.log(`PROBLEM ${problem}`);
console.log(
  `kill-points: ${result.points} kills, ${result.acknowledged} acknowledged turns, ${result.erased} erased on purpose, ` +
    `${result.torn} torn tails, ${result.problems.length} problems`,
);
process.exitCode = result.problems.length === 0 ? 0 : 1;
