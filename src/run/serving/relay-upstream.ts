/**
 * `espalier proxy`: a relay in front of a foreign upstream; every turn that passes is recorded.
 *
 * Invariant: when this returns, every call that passed is recorded, or counted as lost and told.
 */
import { once } from 'node:events';
import { relative } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { EspalierError } from '../../core/errors.ts';
import { Refusal } from '../../dialects/refusal.ts';
import { Metrics } from '../../proxy/metrics.ts';
import { upstreamOf } from '../../proxy/relay/headers.ts';
import { createRelay, type RelayServer } from '../../proxy/relay/relay.ts';
import { SessionsApi } from '../../proxy/sessions-api.ts';
import { Journal } from '../../trajectory/journal.ts';
import { onInterrupt } from '../interrupt.ts';
import { type AccessOptions, readyLine, serverAccess } from './access.ts';
import { defaultSession, nextDefaultRollout } from './default-session.ts';
import { claimFolder, findServingFolder } from './folder.ts';
import type { ServeOutput } from './serve.ts';

export interface RelayUpstreamOptions extends AccessOptions {
  readonly upstream: string;
  /** Sent to the upstream in place of what the agent sends; null passes the agent's own key on. */
  readonly upstreamKey: string | null;
  readonly run: string | null;
}

/** Relays until Ctrl-C. Throws EspalierError of what could not be opened, and at the end when calls were not recorded. */
export async function relayUpstream(options: RelayUpstreamOptions, output: ServeOutput): Promise<void> {
  using interrupt = onInterrupt();
  const access = serverAccess(options);
  const metrics = new Metrics(access.adminKey);
  const upstream = upstreamOf(options.upstream);
  const folder = findServingFolder('proxy', options.run);
  await claimFolder(folder, { kind: 'proxy', upstream: `${upstream.origin}${upstream.base}` });
  await using parts = new AsyncDisposableStack();
  const journal = parts.adopt(await Journal.open(folder.path, { observer: metrics }), (it) => it.close());
  metrics.watch(journal);
  let lost = 0;
  let relay: RelayServer | null = null;
  const sessionsApi = new SessionsApi({
    adminKey: access.adminKey,
    journal,
    clock: systemClock,
    modelName: null,
    open: async (rollout, { models, ...sampling }) => {
      const wished = Object.entries(sampling).find(([, value]) => value !== null)?.[0] ?? null;
      const given = wished ?? (models.length > 0 ? 'models' : null);
      if (given !== null) throw new Refusal(400, `The upstream samples: leave '${given}' out.`, { param: given });
      return (relay as RelayServer).sessions.open(rollout);
    },
  });
  const { host, port, allowedHosts } = access;
  relay = await createRelay({
    ...{ upstream, upstreamKey: options.upstreamKey, journal, sessionsApi, metrics, host, port, allowedHosts },
    onDrop: (failure) => {
      if (lost++ === 0) output.tell(failure.message);
    },
  });
  parts.adopt(relay, (it) => it.close());
  const rollout = nextDefaultRollout(journal);
  const { sessions } = relay;
  const session = access.key === null ? sessions.openKeyless(rollout) : await sessions.open(rollout, access.key);
  const end = defaultSession(journal, rollout, session);

  const run = relative(process.cwd(), folder.path);
  output.ready(readyLine(relay.url, { key: null, admin: access.newAdminKey }));
  output.tell(`relaying to ${upstream.origin}; recording into ${run}; Ctrl-C ends`);
  if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');

  await relay.close();
  await sessionsApi.close();
  await end();
  output.tell(`${journal.index.turnCount} turns recorded; read them with: espalier inspect ${run}`);
  if (lost > 0) throw new EspalierError('store', `${lost} calls passed that could not be recorded`);
}
