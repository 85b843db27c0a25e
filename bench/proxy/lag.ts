/**
 * What others notice of a busy proxy.
 *
 * `lag`: delay of its event loop, p99 and most, while 64 sessions stream and each has a prompt of 128 K ids; first calls,
 * whose prompts are tokenized whole, and later ones apart. `first-token`: how much later than from the upstream itself the
 * first text comes through our proxy, at p99 of 16 streams, the two by turns.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, runSession, type Work } from './agents.ts';
import { figureOf, quantile } from './figures.ts';
import type { Figure, Setting } from './measure.ts';
import { startTarget, type Target } from './processes.ts';
import type { Address } from './target.ts';

const large = 131_072;

export async function measureLag({ folder, upstream, rounds, flags }: Setting): Promise<Figure[]> {
  const where = await mkdtemp(join(folder, 'lag-'));
  using target = await startTarget('ours', where, 5, upstream, flags);
  const samples = {
    first: [] as number[],
    firstMost: [] as number[],
    later: [] as number[],
    laterMost: [] as number[],
  };
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    const { first, later } = await lagOf(target, { ids: large, turns: 4, stream: true, pace: 5 }, 64);
    samples.first.push(first.lagP99Ms);
    samples.firstMost.push(first.lagMaxMs);
    samples.later.push(later.lagP99Ms);
    samples.laterMost.push(later.lagMaxMs);
  }
  return [
    figureOf('loop lag p99, 64 streams, first calls of 128 K ids, ms', samples.first, 'below 25'),
    figureOf('loop lag most, 64 streams, first calls of 128 K ids, ms', samples.firstMost),
    figureOf('loop lag p99, 64 streams, later calls of 128 K ids, ms', samples.later, 'below 25'),
    figureOf('loop lag most, 64 streams, later calls of 128 K ids, ms', samples.laterMost),
  ];
}

async function lagOf(target: Target, work: Work, width: number) {
  const addresses = await target.open(width);
  await target.usage(true);
  let firsts = 0;
  const gate = Promise.withResolvers<Awaited<ReturnType<Target['usage']>>>();
  const sessions = addresses.map((address) =>
    runSession(address, work, async (turn) => {
      if (turn > 0) return;
      if (++firsts === width) gate.resolve(await target.usage());
      await gate.promise;
    }),
  );
  const calls = (await Promise.all(sessions)).flat();
  if (calls.some(({ ok }) => !ok)) throw new Error('a call failed');
  const [first, later] = [await gate.promise, await target.usage()];
  await target.closeSessions();
  return { first, later };
}

export async function measureFirstToken({ folder, upstream, rounds, flags }: Setting): Promise<Figure[]> {
  const where = await mkdtemp(join(folder, 'first-'));
  const pace = 5;
  using target = await startTarget('ours', where, pace, upstream, flags);
  const figures: Figure[] = [];
  for (const ids of [2048, 32768]) {
    const work: Work = { ids, turns: 12, stream: true, pace };
    const later: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const direct = await p99Of(Array<Address>(16).fill({ baseUrl: `${upstream}/v1`, apiKey: 'none' }), work);
      const through = await p99Of(await target.open(16), work);
      await target.closeSessions();
      if (round > 0) later.push(through - direct);
    }
    const name = `first token later than direct, p99 of 16 streams, ${ids / 1024} K ids, ms`;
    figures.push(figureOf(name, later, 'at most 5'));
  }
  return figures;
}

/** Of later calls: the first one of a session is tokenized whole, which is another figure. */
async function p99Of(addresses: readonly Address[], work: Work): Promise<number> {
  const calls: Call[] = (await Promise.all(addresses.map((address) => runSession(address, work)))).flat();
  if (calls.some(({ ok }) => !ok)) throw new Error('a call failed');
  return quantile(
    calls.flatMap(({ turn, firstMs }) => (turn === 0 ? [] : [firstMs])),
    0.99,
  );
}
