/**
 * Ids. Every id prints as its path, so that a log line says where a thing belongs:
 * `batch/7/group/5/rollout/2/turn/0` or `eval/4/unseen/sampled/task/17/rollout/0`.
 *
 * An id is made by one function here and is never taken apart elsewhere.
 */
declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** One task of a taskset, e.g. `seedlings/train/1042`. Unique in a run. */
export type TaskId = Branded<string, 'TaskId'>;
/** The G attempts at one task, drawn together. */
export type GroupId = Branded<string, 'GroupId'>;
/** One attempt at a task. */
export type RolloutId = Branded<string, 'RolloutId'>;
/** One model call of a rollout. */
export type TurnId = Branded<string, 'TurnId'>;
/** One rollout's key on the proxy: unguessable, so it is not its path. */
export type SessionId = Branded<string, 'SessionId'>;
/** The weights' generation: 0 is what the run started from; each optimizer step adds 1. */
export type PolicyVersion = Branded<number, 'PolicyVersion'>;

export const taskId = (path: string): TaskId => path as TaskId;
/** `scope` is what draws the group: `batch/7` or `eval/4/unseen/sampled`. */
export const groupId = (scope: string, draw: number): GroupId => `${scope}/group/${draw}` as GroupId;
export const rolloutId = (group: GroupId, index: number): RolloutId => `${group}/rollout/${index}` as RolloutId;
export const turnId = (rollout: RolloutId, index: number): TurnId => `${rollout}/turn/${index}` as TurnId;
export const sessionId = (secret: string): SessionId => secret as SessionId;
/** What a rollout's agent asks of other models, or of the policy and not to be learned from. */
export const besideId = (rollout: RolloutId, which: 'frozen' | 'untrained'): RolloutId =>
  `${rollout}/${which}` as RolloutId;
/** A rollout path that was read back from a record or a command line. */
export const parseRolloutId = (path: string): RolloutId => path as RolloutId;
export const policyVersion = (generation: number): PolicyVersion => {
  if (!Number.isSafeInteger(generation) || generation < 0) {
    throw new RangeError(`a policy version is a whole number from 0, not ${generation}`);
  }
  return generation as PolicyVersion;
};
