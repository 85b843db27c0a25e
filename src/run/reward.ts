/**
 * What a graded rollout earns: the pass, or what a module of the user's own says; the price on turns multiplies either.
 *
 * The module is the one piece of code that a resumed run loads again. `replay` and `inspect` never do: rewards are in
 * the record.
 */
import { pathToFileURL } from 'node:url';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { SessionFacts } from '../core/session.ts';
import { passReward, type Verdict } from '../core/verdict.ts';
import { pricedReward } from '../learn/rewards.ts';
import type { RolloutServices } from '../rollout/rollout.ts';
import type { RunConfig } from './config.ts';

/** The default export of a reward module: pure, from 0 to 1. What throws or gives anything else stops the run. */
export type Reward = (verdict: Verdict, facts: SessionFacts) => number;

/** Throws EspalierError('config') when the module does not load or exports no function. */
export async function loadReward({ reward, learn }: RunConfig): Promise<RolloutServices['reward']> {
  const judge = reward === null ? passReward : await rewardModule(reward);
  return (verdict, facts) => {
    const value = judge(verdict, facts);
    if (typeof value === 'number' && value >= 0 && value <= 1) return pricedReward(value, facts.turns, learn.turnPrice);
    throw new EspalierError('config', `${reward} gave the reward ${String(value)}: it must be a number from 0 to 1`);
  };
}

async function rewardModule(path: string): Promise<Reward> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(pathToFileURL(path).href)) as { readonly default?: unknown };
  } catch (cause) {
    throw new EspalierError('config', `the reward ${path} does not load: ${oneLine(messageOf(cause))}`, { cause });
  }
  if (typeof loaded.default === 'function') return loaded.default as Reward;
  throw new EspalierError(
    'config',
    `the reward ${path} has no default function: export default (verdict, facts) => 0 to 1`,
  );
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');
