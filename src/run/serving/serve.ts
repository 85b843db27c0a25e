/**
 * `espalier serve`: a checkpoint behind the proxy, for agents that someone else starts; every turn is recorded.
 *
 * Not a rollout manager: no agent is started and nothing graded. Weights stay as they are, unless it is told to learn
 * from the rewards that launchers give.
 *
 * Invariant: when this returns, every acknowledged turn is durable.
 */
import { once } from 'node:events';
import { relative } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { EspalierError, messageOf } from '../../core/errors.ts';
import { type PolicyVersion, policyVersion, type RolloutId } from '../../core/ids.ts';
import { seedOf } from '../../core/random.ts';
import { type Truncation, truncates } from '../../core/truncation.ts';
import { invalid } from '../../dialects/json-reader.ts';
import type { Sampler } from '../../engine/engine.ts';
import { createEngineHost, type EngineHost } from '../../host/engine-host.ts';
import { newKey } from '../../proxy/access.ts';
import { Metrics } from '../../proxy/metrics.ts';
import { ModelMap } from '../../proxy/model-map.ts';
import { createProxy, type ProxyServer } from '../../proxy/proxy.ts';
import { SessionsApi } from '../../proxy/sessions-api.ts';
import { loadRenderer } from '../../tokens/load.ts';
import { Journal } from '../../trajectory/journal.ts';
import { modelFolder } from '../evaluate-model.ts';
import { onInterrupt } from '../interrupt.ts';
import { policyName } from '../options.ts';
import { type AccessOptions, readyLine, serverAccess } from './access.ts';
import { defaultSession, nextDefaultRollout } from './default-session.ts';
import { drawingsOf, type EngineServers, openEngineServers } from './engine-servers.ts';
import { claimFolder, findServingFolder, latestCheckpoint } from './folder.ts';
import { type LearnOptions, OnlineLearner } from './online-learner.ts';
import { revivingSampler } from './reviving-sampler.ts';

export interface ServeOptions extends AccessOptions {
  /** A model folder, or a run directory: its newest checkpoint. */
  readonly model: string;
  readonly run: string | null;
  readonly temperature: number;
  readonly truncation: Truncation;
  /** `request`: what callers ask of sampling is honored, and their turns are not trained on. */
  readonly samplingBy: 'session' | 'request';
  /** Tokens a turn; null is as many as the context has room for. */
  readonly maxTokens: number | null;
  readonly seed: number;
  readonly threads: number;
  readonly modelMap: readonly string[];
  /** Sent to the upstreams of the map; null sends none. */
  readonly upstreamKey: string | null;
  /** Servers that sample in place of our own engine, which then is not started. */
  readonly engineServers: EngineServers | null;
  /** Learn from the rewards of finished sessions; null serves fixed weights. */
  readonly learn: LearnOptions | null;
}

export interface ServeOutput {
  /** The one line for programs. */
  readonly ready: (line: string) => void;
  /** Lines for people. */
  readonly tell: (line: string) => void;
}

const firstVersion = policyVersion(0);

/** Serves until Ctrl-C. Throws EspalierError of what could not be opened. */
export async function serve(options: ServeOptions, output: ServeOutput): Promise<void> {
  using interrupt = onInterrupt();
  const access = serverAccess(options);
  const metrics = new Metrics(access.adminKey);
  const models = ModelMap.of(options.modelMap);
  if (options.learn !== null) checkLearning(options);
  const folder = findServingFolder('serve', options.run);
  const model = modelFolder(options.model);
  await using parts = new AsyncDisposableStack();
  const renderer = await loadRenderer(model);
  const { engineServers, threads } = options;
  const drawings = drawingsOf(options);
  const servers =
    engineServers === null
      ? null
      : parts.adopt(await openEngineServers(engineServers, renderer, drawings, output.tell), (it) => it.close());
  const own =
    servers !== null
      ? null
      : parts.adopt(await createEngineHost({ model, version: firstVersion, threads }), (it) => it.close());
  const sha256 = own === null ? null : (await own.snapshot()).sha256;
  await claimFolder(folder, { kind: 'serve', model, sha256 });
  const journal = parts.adopt(await Journal.open(folder.path, { observer: metrics }), (it) => it.close());
  metrics.watch(journal);
  if (journal.index.versions.length === 0) {
    await journal.append({ type: 'version', version: firstVersion, sha256, checkpoint: null });
  }
  const latest = () => latestCheckpoint(folder.path) ?? { path: model, version: firstVersion };
  if (own !== null && latest().path !== model) await own.load(latest().path, latest().version, 'resume');

  const sampler = servers ?? revived(own as EngineHost, latest, model, output.tell);
  const sampling = (rollout: RolloutId) => ({
    temperature: options.temperature,
    truncation: options.truncation,
    samplingBy: options.samplingBy,
    maxTokensPerTurn: options.maxTokens ?? sampler.contextLength,
    seed: seedOf(options.seed, rollout),
    trainable: options.samplingBy === 'session' && !truncates(options.truncation),
  });
  const learner =
    options.learn === null || own === null
      ? null
      : new OnlineLearner(options.learn, { engine: own, journal, path: folder.path, tell: output.tell });
  let proxy: ProxyServer | null = null;
  const sessionsApi = new SessionsApi({
    adminKey: access.adminKey,
    journal,
    clock: systemClock,
    modelName: policyName,
    onFinished: (session) => learner?.finished(session),
    open: async (rollout, { temperature, maxTokensPerTurn, models: own, samplingBy }) => {
      if (learner !== null && (temperature ?? 1) !== 1) {
        throw invalid('temperature', learnsAtOne(`temperature ${temperature}`).message, 'unsupported_value');
      }
      if (learner !== null && samplingBy === 'request') {
        throw invalid('samplingBy', learnsAtOne(`samplingBy ${samplingBy}`).message, 'unsupported_value');
      }
      const settings = sampling(rollout);
      const drawn = { ...settings, temperature: temperature ?? settings.temperature };
      const wished = drawingsOf({ ...drawn, samplingBy: samplingBy ?? settings.samplingBy });
      const problem = wished.map((drawing) => servers?.problemOf(drawing) ?? null).find((found) => found !== null);
      if (problem !== undefined) {
        throw invalid(temperature === null ? 'samplingBy' : 'temperature', problem, 'unsupported_value');
      }
      const narrowed = own.length > 0 ? narrow(models, own) : null;
      return (proxy as ProxyServer).sessions.open(rollout, {
        ...settings,
        ...(temperature !== null && { temperature }),
        ...(maxTokensPerTurn !== null && { maxTokensPerTurn }),
        ...(narrowed !== null && { models: narrowed }),
        ...(samplingBy !== null && { samplingBy, trainable: settings.trainable && samplingBy === 'session' }),
      });
    },
  });
  const { host, port, allowedHosts } = access;
  const onFailure = (failure: EspalierError): void => output.tell(failure.message);
  proxy = parts.adopt(
    await createProxy({
      ...{ sampler, renderer, journal, modelName: policyName, models, sessionsApi, metrics },
      ...{ host, port, allowedHosts, onFailure, upstreamKey: options.upstreamKey },
    }),
    (it) => it.close(),
  );
  const rollout = nextDefaultRollout(journal);
  const made = access.key === null ? newKey() : null;
  const session = await proxy.sessions.open(rollout, sampling(rollout), access.key ?? (made as string));
  const end = defaultSession(journal, rollout, session);

  const run = relative(process.cwd(), folder.path);
  output.ready(readyLine(proxy.url, { key: made, admin: access.newAdminKey }));
  const on = servers === null ? '' : ` on ${servers.name}`;
  output.tell(`serving ${options.model}${on}, context ${sampler.contextLength}; recording into ${run}; Ctrl-C ends`);
  if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');

  await sessionsApi.close();
  await learner?.close();
  const facts = await end();
  output.tell(
    `${journal.index.turnCount} turns recorded (${facts.turns} of the default session); read them with: ` +
      `espalier inspect ${run}`,
  );
}

/** Our engine, started again with the newest weights when it crashes. */
function revived(
  engine: EngineHost,
  latest: () => { readonly path: string; readonly version: PolicyVersion },
  model: string,
  tell: (line: string) => void,
): Sampler {
  return revivingSampler(engine, async () => {
    tell('the engine ended unexpectedly; starting it again');
    const { path, version } = latest();
    await engine.restart(path, version, path === model ? 'fresh' : 'resume');
  });
}

/** Throws Refusal. */
function narrow(models: ModelMap, entries: readonly string[]): ModelMap {
  try {
    return models.with(entries);
  } catch (cause) {
    throw invalid('models', messageOf(cause).replace(/^--model-map /, 'models: '), 'invalid_value');
  }
}

function checkLearning({ temperature, truncation, samplingBy, engineServers }: ServeOptions): void {
  if (temperature !== 1) throw learnsAtOne(`--temperature ${temperature}`);
  if (truncates(truncation)) throw learnsAtOne('--top-k, --top-p or --min-p');
  if (samplingBy === 'request') throw learnsAtOne('--sampling request');
  if (engineServers !== null) throw learnsOnItsOwn();
}

function learnsAtOne(what: string): EspalierError {
  return new EspalierError(
    'config',
    `${what}: learning samples at temperature 1 and from every token, so that what is recorded is the policy's`,
  );
}

function learnsOnItsOwn(): EspalierError {
  return new EspalierError(
    'config',
    '--learn with --engine-url: only our own engine trains, and it samples what it learns from; leave one of them out',
  );
}
