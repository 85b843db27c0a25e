import { afterAll, describe, expect, it } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { solved } from '../core/verdict.ts';
import { wasmLimits, wasmSandboxes } from '../sandbox/sandboxes/wasm.ts';
import { type Bot, blindBot, commonestFixBot, idleBot, oracleBot } from './bots.ts';
import { type SeedlingSet, seedlings } from './seedlings/seedlings.ts';
import { testVerifier } from './verifiers/tests.ts';

const sandboxes = wasmSandboxes({ threads: 2 });
afterAll(() => sandboxes.close());
const verifier = testVerifier({ sandboxes, limits: wasmLimits, seed: 1n });

async function shareSolved(bot: Bot, set: SeedlingSet, count: number): Promise<number> {
  const verdicts = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const task = seedlings(set).task(index);
      return verifier.verify(task, bot(task, new Random(seedOf('floor', set, index))));
    }),
  );
  return verdicts.filter(solved).length / count;
}

const training = Array.from({ length: 1000 }, (_, index) => seedlings('train').task(50_000 + index));

describe.each(['train', 'unseen', 'transfer'] as const)('on %s', (set) => {
  it('doing nothing solves nothing and the oracle solves everything', async () => {
    expect(await shareSolved(idleBot, set, 100)).toBe(0);
    expect(await shareSolved(oracleBot, set, 100)).toBe(1);
  });

  it('a bot that never reads solves less than a tenth', async () => {
    expect(await shareSolved(blindBot(training), set, 200)).toBeLessThan(0.1);
  });

  it('a bot that applies the commonest fix solves less than a fifth', async () => {
    expect(await shareSolved(commonestFixBot(training), set, 200)).toBeLessThan(0.2);
  });
});
