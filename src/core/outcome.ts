import type { Boundary } from './errors.ts';

/** How a rollout ended. Only `completed` and `truncated` rollouts are graded and may become rewards. */
export type Outcome =
  | { readonly status: 'completed' }
  | { readonly status: 'truncated'; readonly by: 'turns' | 'tokens' | 'context' | 'time' }
  | { readonly status: 'failed'; readonly boundary: Boundary; readonly message: string }
  | { readonly status: 'cancelled'; readonly why: string };

export function isGraded(outcome: Outcome): boolean {
  return outcome.status === 'completed' || outcome.status === 'truncated';
}
