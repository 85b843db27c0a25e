/** The session of whoever knows only the address and the key: each start of a server has one of its own. */
import { type Clock, systemClock } from '../../core/clock.ts';
import { groupId, type RolloutId, rolloutId, taskId } from '../../core/ids.ts';
import type { SessionFacts } from '../../core/session.ts';
import type { Journal } from '../../trajectory/journal.ts';

/** The first one that the record does not have: `default/group/0/rollout/0`. */
export function nextDefaultRollout(journal: Journal): RolloutId {
  for (let start = 0; ; start++) {
    const rollout = rolloutId(groupId('default', start), 0);
    if (!journal.index.sessions.has(rollout)) return rollout;
  }
}

/** Closes the session and writes its outcome down. Call what this returns once. */
export function defaultSession(
  journal: Journal,
  rollout: RolloutId,
  session: { close(): Promise<SessionFacts> },
  clock: Clock = systemClock,
): () => Promise<SessionFacts> {
  const openedAt = clock.now();
  return async () => {
    const facts = await session.close();
    await journal.ready();
    await journal.append({
      type: 'outcome',
      rollout,
      outcome: { status: 'completed' },
      task: taskId(''),
      facts,
      attempts: 1,
      seconds: (clock.now() - openedAt) / 1000,
    });
    return facts;
  };
}
