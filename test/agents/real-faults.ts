/**
 * One thing that goes wrong while a real agent works, in the middle of the model's second reply: `--fault` of
 * try-agents.ts.
 *
 * The same faults in every turn, against clients in place of agents, are in test/integration/agent-faults.test.ts.
 */
import { join } from 'node:path';
import type { Sampler } from '../../src/engine/engine.ts';
import type { ProxyOptions } from '../../src/proxy/proxy.ts';
import { tokenizer } from '../integration/proxy-fixture.ts';
import type { AgentKind, ScriptedReply } from './agents.ts';
import { type CutWire, startCutWire } from './cut-wire.ts';
import { calm, FaultySampler, failure, newWeights, type Strike, stall } from './faulty-sampler.ts';
import { startKillable } from './killable-engine.ts';
import { repliesIn, scriptedModel } from './scripted-task.ts';

export const faultNames = ['none', 'stall', 'weights', 'failure', 'kill', 'overload', 'drop'] as const;
export type FaultName = (typeof faultNames)[number];

/** As long as agents were seen to wait in silence is 240 s and more; some count comments, and some do not. */
const stallMs = 30_000;

const answersUnder: Partial<Record<FaultName, RegExp>> = {
  drop: / broken$/,
  failure: / (broken|502)$/,
  overload: / 429$/,
};

interface StartedFault extends AsyncDisposable {
  readonly sampler: Sampler;
  readonly proxy: Partial<ProxyOptions>;
  /** The agent's address, given the session's. */
  wired(baseUrl: string): Promise<string>;
  happened(): boolean;
  /** What agents are answered by right, beside what they are without it. */
  readonly answers: RegExp;
}

export async function startFault(
  name: FaultName,
  kind: AgentKind,
  replies: readonly ScriptedReply[],
  work: string,
): Promise<StartedFault> {
  const engine =
    name === 'kill' ? await startKillable(join(work, '..', 'script.json'), { kind: kind.name, work }, 1) : null;
  let happened = name === 'none';
  const once = (strike: Strike): Strike =>
    async function* (events, request) {
      if (happened || repliesIn(tokenizer.decode(request.ids)) !== 1) return yield* events;
      happened = true;
      yield* strike(events, request);
    };
  const strikes: Partial<Record<FaultName, Strike>> = {
    stall: stall(() => new Promise((resolve) => setTimeout(resolve, stallMs))),
    weights: newWeights,
    failure: failure('in mid-reply'),
    ...(engine !== null && { kill: engine.killWhenHeld(1) }),
  };
  const strike = strikes[name];
  const inner = engine?.sampler ?? scriptedModel(replies, kind.aside);
  const sampler = new FaultySampler(inner, strike === undefined ? calm : once(strike), name === 'weights');
  let wire: CutWire | null = null;
  let refusals = 0;
  return {
    sampler,
    // Of the call after the first one, and of its next try.
    proxy: name === 'overload' ? { maxCalls: () => (sampler.calls > 0 && refusals++ < 2 ? 0 : 4096) } : {},
    wired: async (baseUrl) => {
      if (name !== 'drop') return baseUrl;
      const { origin } = new URL(baseUrl);
      const isSecond = (body: string): boolean => wire?.cuts === 0 && body.includes(replies[0]?.text as string);
      wire = await startCutWire(origin, 'in mid-reply', isSecond);
      return baseUrl.replace(origin, wire.origin);
    },
    answers: answersUnder[name] ?? /^$/,
    happened: () => happened || refusals >= 2 || (wire?.cuts ?? 0) > 0,
    [Symbol.asyncDispose]: async () => {
      await wire?.close();
      await engine?.close();
    },
  };
}
