/** A program that a model runs in. It reaches the model over HTTP only and knows nothing of training. */
import type { Outcome } from '../core/outcome.ts';
import type { Task } from '../core/task.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';

export interface HarnessLimits {
  readonly maxTurns: number;
  readonly timeMs: number;
}

/** What a harness is given: where the model is, what to do, where to do it. */
export interface HarnessJob {
  /** OpenAI-compatible base URL, `.../s/<session>/v1`, and its key. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly model: string;
  readonly task: Pick<Task, 'statement'>;
  readonly sandbox: Sandbox;
  readonly limits: HarnessLimits;
  readonly signal: AbortSignal;
}

export interface Harness {
  readonly name: string;
  /** Never throws for what the model did; a failure is an outcome with the boundary that it crossed. */
  run(job: HarnessJob): Promise<Outcome>;
}
