/**
 * For tests only: sessions, sandboxes, a harness and a verifier in memory, so that tests decide what each rollout does.
 * They count what is opened and closed. Nothing here resembles a model.
 */
import { taskId } from '../core/ids.ts';
import type { Outcome } from '../core/outcome.ts';
import type { SessionFacts } from '../core/session.ts';
import type { Task } from '../core/task.ts';
import { passReward, type Verdict } from '../core/verdict.ts';
import type { HarnessJob } from '../harness/harness.ts';
import type { RolloutServices, RolloutSettings } from './rollout.ts';

export const fakeSettings: RolloutSettings = {
  model: 'policy',
  temperature: 1,
  maxTokensPerTurn: 72,
  trainable: true,
  limits: { maxTurns: 10, timeMs: 60_000 },
  sandboxLimits: { timeMs: 1000, memoryBytes: 1 << 20 },
  maxAttempts: 3,
};

export function fakeTask(name: string): Task {
  return {
    id: taskId(name),
    statement: `repair ${name}`,
    files: { 'a.js': 'broken' },
    allowedPaths: ['a.js'],
    hidden: {},
    expectedTests: ['a'],
    solution: { 'a.js': 'right' },
    origin: { fragment: name, operator: 'flip', fileCount: 1 },
  };
}

const facts: SessionFacts = {
  turns: 3,
  exactTurns: 3,
  sampledTokens: 30,
  toolCalls: 4,
  parallelTurns: 1,
  retokenizedSampledTokens: 0,
  truncatedBy: null,
};

/** What the agent did: a solved or an unsolved tree, another outcome, or something thrown. */
export type Deed = 'solve' | 'give up' | Outcome | Error;

export interface FakeWorld {
  readonly services: RolloutServices;
  /** Rollout ids in the order in which harnesses started. */
  readonly started: string[];
  readonly seeds: Map<string, bigint>;
  readonly open: { sessions: number; sandboxes: number; most: number };
}

export interface FakeOptions {
  /** `attempt` counts from 0 for each rollout. */
  readonly deed: (rollout: string, attempt: number, signal: AbortSignal) => Deed | Promise<Deed>;
  readonly facts?: Partial<SessionFacts>;
  /** Called before each verdict; may throw. */
  readonly grading?: () => void;
}

export function fakeWorld(options: FakeOptions): FakeWorld {
  const started: string[] = [];
  const seeds = new Map<string, bigint>();
  const open = { sessions: 0, sandboxes: 0, most: 0 };
  const attempts = new Map<string, number>();

  async function run(job: HarnessJob): Promise<Outcome> {
    const attempt = attempts.get(job.baseUrl) ?? 0;
    attempts.set(job.baseUrl, attempt + 1);
    started.push(job.baseUrl);
    const deed = await options.deed(job.baseUrl, attempt, job.signal);
    if (deed instanceof Error) throw deed;
    if (typeof deed !== 'string') return deed;
    job.sandbox.write('a.js', deed === 'solve' ? 'right' : 'wrong');
    return { status: 'completed' };
  }

  const services: RolloutServices = {
    sessions: {
      async open(rollout, { seed }) {
        seeds.set(rollout, seed);
        open.sessions++;
        open.most = Math.max(open.most, open.sessions);
        return {
          baseUrl: rollout,
          apiKey: 'key',
          async close() {
            open.sessions--;
            return { ...facts, ...options.facts };
          },
        };
      },
    },
    sandboxes: {
      async start(files) {
        open.sandboxes++;
        const tree = new Map(Object.entries(files));
        return {
          list: () => [...tree.keys()],
          read: (path) => tree.get(path) ?? null,
          write: (path, text) => void tree.set(path, text),
          diff: () => Object.fromEntries([...tree].filter(([path, text]) => files[path] !== text)),
          runTests: async () => ({ completed: true, tests: [], message: null }),
          close: async () => void open.sandboxes--,
        };
      },
      async close() {},
    },
    verifier: {
      async verify(_task, diff): Promise<Verdict> {
        options.grading?.();
        return {
          tests: [{ id: 'a', status: diff['a.js'] === 'right' ? 'passed' : 'failed' }],
          missing: [],
          unexpected: [],
          canariesHeld: true,
          completed: true,
          changedPaths: Object.keys(diff),
          droppedPaths: [],
        };
      },
    },
    harness: { name: 'fake', run },
    reward: passReward,
    clock: { now: () => 0 },
  };
  return { services, started, seeds, open };
}
