/**
 * One rollout: a session, a sandbox, a harness in it, a verdict on what it left.
 *
 * Not here: which tasks are drawn, how many attempts a task gets (`manager.ts`), what the model learns.
 *
 * Invariants:
 * 1. `reward` is a number exactly when the outcome is graded; an infrastructure failure never becomes a reward.
 * 2. A retry opens the same rollout again, under the same seed, and is answered from its recorded turns as far as they
 *    go: a retried rollout samples what an undisturbed one would have.
 * 3. Whatever is opened here is closed here. A rollout never throws: what went wrong is its outcome.
 */
import type { Clock } from '../core/clock.ts';
import { type Boundary, boundaryOf, messageOf } from '../core/errors.ts';
import type { RolloutId, TaskId } from '../core/ids.ts';
import { isGraded, type Outcome } from '../core/outcome.ts';
import type { SessionFacts } from '../core/session.ts';
import type { Task } from '../core/task.ts';
import type { Truncation } from '../core/truncation.ts';
import type { Verdict } from '../core/verdict.ts';
import type { Harness, HarnessLimits } from '../harness/harness.ts';
import type { SandboxLimits, SandboxProvider } from '../sandbox/sandbox.ts';
import type { Verifier } from '../tasks/taskset.ts';
import type { SessionService } from './ports.ts';

/** What a rollout works with. All outlive it. */
export interface RolloutServices {
  readonly sessions: SessionService;
  readonly sandboxes: SandboxProvider;
  readonly verifier: Verifier;
  readonly harness: Harness;
  /** Judges a graded rollout; pure. */
  readonly reward: (verdict: Verdict, facts: SessionFacts) => number;
  readonly clock: Clock;
}

export interface RolloutSettings {
  /** The name that the harness asks the proxy for. */
  readonly model: string;
  readonly temperature: number;
  /** Not given: every token may be drawn. */
  readonly truncation?: Truncation;
  readonly maxTokensPerTurn: number;
  readonly trainable: boolean;
  readonly limits: HarnessLimits;
  readonly sandboxLimits: SandboxLimits;
  /** Attempts at each of working and grading before an infrastructure failure stands, from 1. */
  readonly maxAttempts: number;
}

export interface RolloutJob {
  readonly id: RolloutId;
  readonly task: Task;
  readonly seed: bigint;
  readonly settings: RolloutSettings;
  readonly signal: AbortSignal;
}

/** Plain data, fit to be recorded: a resumed run skips a rollout whose record it finds. */
export interface FinishedRollout {
  readonly id: RolloutId;
  readonly task: TaskId;
  readonly outcome: Outcome;
  /** Null when the rollout failed or was cancelled. */
  readonly facts: SessionFacts | null;
  readonly verdict: Verdict | null;
  readonly reward: number | null;
  /** Attempts at working, 1 when nothing went wrong. */
  readonly attempts: number;
  readonly seconds: number;
}

/** How long a harness may overrun its own time limit before it is aborted. */
const graceMs = 5_000;

/** Trying again cannot help: what failed is a function of the task or the configuration, or nothing can be kept. */
const lasting: readonly Boundary[] = ['task', 'config', 'checkpoint', 'store'];

export async function runRollout(services: RolloutServices, job: RolloutJob): Promise<FinishedRollout> {
  const startedAt = services.clock.now();
  let attempts = 0;
  const worked = await retried(job, () => {
    attempts++;
    return work(services, job);
  });
  const judged = 'facts' in worked ? await judge(services, job, worked) : { ...nothingGraded, outcome: worked };
  return { id: job.id, task: job.task.id, ...judged, attempts, seconds: (services.clock.now() - startedAt) / 1000 };
}

const nothingGraded = { facts: null, verdict: null, reward: null } as const;

/** An agent's finished work. `outcome` is graded. */
interface Worked {
  readonly outcome: Outcome;
  readonly facts: SessionFacts;
  readonly diff: Readonly<Record<string, string | null>>;
}

async function work(services: RolloutServices, job: RolloutJob): Promise<Worked | Outcome> {
  const { settings, task } = job;
  const overtime = AbortSignal.timeout(settings.limits.timeMs + graceMs);
  const session = await services.sessions.open(job.id, {
    temperature: settings.temperature,
    ...(settings.truncation !== undefined && { truncation: settings.truncation }),
    maxTokensPerTurn: settings.maxTokensPerTurn,
    seed: job.seed,
    trainable: settings.trainable,
  });
  let outcome: Outcome;
  let diff: Worked['diff'];
  let facts: SessionFacts;
  try {
    const sandbox = await services.sandboxes.start(task.files, settings.sandboxLimits);
    try {
      outcome = await services.harness.run({
        baseUrl: session.baseUrl,
        apiKey: session.apiKey,
        model: settings.model,
        task: { statement: task.statement },
        sandbox,
        limits: settings.limits,
        signal: AbortSignal.any([job.signal, overtime]),
      });
      diff = sandbox.diff();
    } finally {
      await sandbox.close();
    }
  } finally {
    facts = await session.close();
  }
  const ended = endOf(outcome, facts, overtime.aborted);
  return isGraded(ended) ? { outcome: ended, facts, diff } : ended;
}

/** What the harness says, corrected by what it cannot know: why its last call was refused or cut. */
function endOf(outcome: Outcome, facts: SessionFacts, overtime: boolean): Outcome {
  if (outcome.status === 'completed') {
    return facts.truncatedBy === null ? outcome : { status: 'truncated', by: facts.truncatedBy };
  }
  if (outcome.status === 'failed' && outcome.boundary === 'provider' && facts.truncatedBy === 'context') {
    return { status: 'truncated', by: 'context' };
  }
  if (outcome.status === 'cancelled' && overtime) return { status: 'truncated', by: 'time' };
  return outcome;
}

async function judge(
  services: RolloutServices,
  job: RolloutJob,
  worked: Worked,
): Promise<Pick<FinishedRollout, 'outcome' | 'facts' | 'verdict' | 'reward'>> {
  const { outcome, facts } = worked;
  const verdict = await retried(job, () => services.verifier.verify(job.task, worked.diff));
  if ('status' in verdict) return { ...nothingGraded, outcome: verdict };
  try {
    return { outcome, facts, verdict, reward: services.reward(verdict, facts) };
  } catch (thrown) {
    return { ...nothingGraded, outcome: failure(thrown, 'config') };
  }
}

/** Tries again while infrastructure fails, `maxAttempts` in all; then gives the last failure as an outcome. */
async function retried<T extends object>(job: RolloutJob, attempt: () => Promise<T | Outcome>): Promise<T | Outcome> {
  for (let attempts = 1; ; attempts++) {
    if (job.signal.aborted) return cancelled(job.signal);
    let result: T | Outcome;
    try {
      result = await attempt();
    } catch (thrown) {
      result = failure(thrown, 'harness');
    }
    // Whatever came back after the signal may have been cut by it, so it is not a result.
    if (job.signal.aborted) return cancelled(job.signal);
    if (!('status' in result) || result.status !== 'failed') return result;
    if (attempts >= job.settings.maxAttempts || lasting.includes(result.boundary)) return result;
  }
}

function failure(thrown: unknown, otherwise: Boundary): Outcome & { status: 'failed' } {
  return { status: 'failed', boundary: boundaryOf(thrown, otherwise), message: messageOf(thrown) };
}

function cancelled(signal: AbortSignal): Outcome {
  return { status: 'cancelled', why: messageOf(signal.reason) };
}
