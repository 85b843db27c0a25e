/**
 * Kills `espalier train` at random moments (SIGKILL), resumes it, and compares with an undisturbed run: no turn that was
 * on disk may be lost, and the run must end with the same bytes.
 *
 *   node scripts/kill-resume.ts [MOMENTS=20] [SEED]
 *
 * Each moment is a run of its own that is killed once, and every fifth run is killed three times more. Runs of two kinds
 * take turns: one that learns from every batch, and one in which batches teach nothing now and then.
 * Not covered: power that fails; what the disk has then is the business of fsync in src/store and src/engine.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Random, seedOf } from '../src/core/random.ts';
import { espalier, makeWorkplace } from '../test/integration/run-fixture.ts';
import { differences, lostTurns, randomMoment, recordOf, stopWhen } from '../test/integration/run-kill.ts';

const moments = Number(process.argv[2] ?? 20);
const seed = process.argv[3] ?? String(Date.now());
const random = new Random(seedOf('kill-resume', seed));
console.log(`kill-resume: ${moments} moments, seed ${seed}`);

const kinds = [{}, { batches: 6, checkpointEvery: 2, rollout: { ...sparse() } }];
function sparse() {
  return { groupsPerBatch: 1, groupSize: 3, maxDraws: 1, maxTurns: 3, maxTokensPerTurn: 16, timeMs: 600_000 };
}

const folders: string[] = [];
for (const kind of kinds) {
  const folder = await makeWorkplace(kind);
  folders.push(folder);
  await must(await espalier(folder, 'train', '--run', 'whole'));
}

let failures = 0;
for (let moment = 0; moment < moments; moment++) {
  const folder = folders[moment % folders.length] as string;
  const [run, whole] = [join(folder, `killed-${moment}`), join(folder, 'whole')];
  const problems: string[] = [];
  const records = [];
  const kills = moment % 5 === 4 ? 4 : 1;
  for (let kill = 0; kill < kills; kill++) {
    const args = ['train', ...(records.length > 0 ? ['--resume'] : []), '--run', run];
    const stopped = await stopWhen(folder, args, 'SIGKILL', randomMoment(run, whole, random), random.below(50));
    if (stopped.orphans.length > 0) problems.push(`the engine outlived the run: ${stopped.orphans}`);
    if (stopped.stderr !== '') problems.push(stopped.stderr.trim());
    records.push(await recordOf(run));
  }
  const ended = await espalier(folder, 'train', '--resume', '--run', run);
  if (ended.code !== 0) problems.push(`--resume ended with ${ended.code}: ${ended.stderr.trim()}`);
  const final = await recordOf(run);
  for (const record of records) problems.push(...lostTurns(record, final).map((turn) => `lost ${turn}`));
  if (ended.code === 0) problems.push(...(await differences(run, whole)));
  const turns = records.map(({ turnCount }) => turnCount).join(', ');
  console.log(
    `${moment + 1}/${moments}: killed at ${turns} of ${final.turnCount} turns: ${problems.join('; ') || 'equal'}`,
  );
  if (problems.length > 0) failures++;
  else await rm(run, { recursive: true });
}
if (failures === 0) for (const folder of folders) await rm(folder, { recursive: true });
console.log(
  failures === 0 ? 'kill-resume: no turn lost, every run as if undisturbed' : `kill-resume: ${failures} FAILED`,
);
process.exitCode = failures === 0 ? 0 : 1;

async function must({ code, stderr }: { readonly code: number | null; readonly stderr: string }): Promise<void> {
  if (code !== 0) throw new Error(`the undisturbed run ended with ${code}: ${stderr}`);
}
