/**
 * Records turns as fast as it can, and prints each one when it is durable: `turn ROLLOUT INDEX CHECK`. Its parent kills it.
 * Before a session is erased it prints `erasing ROLLOUT`, and `erased ROLLOUT` after.
 *
 *   node turn-writer.ts RUN_DIRECTORY LIFE SEED
 */
import { writeSync } from 'node:fs';
import { groupId, rolloutId, taskId } from '../../src/core/ids.ts';
import { Random, seedOf } from '../../src/core/random.ts';
import { Journal, storeDirectory } from '../../src/trajectory/journal.ts';
import { removeRecords } from '../../src/trajectory/removal.ts';
import { checkOf, turnOf } from './kill-points.ts';

const [run, life, seed] = process.argv.slice(2) as [string, string, string];
const random = new Random(seedOf('turn-writer', seed, life));
// A pipe that is written at once: what was printed was acknowledged, whenever the kill comes.
const say = (line: string): void => void writeSync(1, `${line}\n`);
const options = { segmentBytes: random.between(2000, 60_000) };

for (let round = 0; ; round++) {
  const journal = await Journal.open(run, options);
  const rollouts = Array.from({ length: 4 }, (_, i) => rolloutId(groupId(`life/${life}/${round}`, 0), i));
  await Promise.all(
    rollouts.map(async (rollout) => {
      const seeded = new Random(seedOf(rollout, seed));
      await journal.append({
        type: 'session',
        rollout,
        temperature: 1,
        maxTokensPerTurn: 9,
        seed: '1',
        trainable: true,
      });
      for (let index = 0; index < 12; index++) {
        const { turn, blocks } = turnOf(rollout, index, seeded);
        await journal.appendTurn(turn, blocks);
        say(`turn ${rollout} ${index} ${checkOf(turn)}`);
      }
      const outcome = { status: 'completed' } as const;
      await journal.append({
        type: 'outcome',
        rollout,
        outcome,
        task: taskId(''),
        facts: null,
        attempts: 1,
        seconds: 0,
      });
    }),
  );
  await journal.close();
  const erased = rollouts[0] as (typeof rollouts)[0];
  say(`erasing ${erased}`);
  await removeRecords(storeDirectory(run), 'erased', (index) => index.leaving([erased], false));
  say(`erased ${erased}`);
}
