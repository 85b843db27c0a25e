/**
 * Everything that rollouts need, opened together and closed together: engine, journal, proxy, sandboxes, harness.
 *
 * The rooms do not know each other; this is where they are plugged in.
 */
import { systemClock } from '../core/clock.ts';
import { seedOf } from '../core/random.ts';
import { builtinHarness } from '../harness/harnesses/builtin.ts';
import { createEngineHost, type EngineHost } from '../host/engine-host.ts';
import { createProxy } from '../proxy/proxy.ts';
import type { ManagerOptions } from '../rollout/manager.ts';
import type { FinishedRollout, RolloutServices } from '../rollout/rollout.ts';
import { wasmLimits, wasmSandboxes } from '../sandbox/sandboxes/wasm.ts';
import { testVerifier } from '../tasks/verifiers/tests.ts';
import { loadRenderer } from '../tokens/load.ts';
import type { Renderer } from '../tokens/renderer.ts';
import { Journal } from '../trajectory/journal.ts';
import type { RunConfig } from './config.ts';
import { RecordView, recordRollout } from './ledger.ts';
import { policyName, rolloutSettings } from './options.ts';
import { loadReward } from './reward.ts';

export interface WorkplaceOptions {
  readonly config: RunConfig;
  /** A model folder; its weights are called `version`. */
  readonly model: string;
  readonly version: number;
  readonly optimizer: 'fresh' | 'resume';
  /** Where the store lies. */
  readonly runDirectory: string;
  readonly signal: AbortSignal;
  readonly onRollout?: (rollout: FinishedRollout) => void;
}

export interface Workplace extends AsyncDisposable {
  readonly engine: EngineHost;
  readonly journal: Journal;
  readonly record: RecordView;
  readonly renderer: Renderer;
  /** What the manager needs for rollouts of a kind. */
  manager(kind: { readonly trainable: boolean; readonly temperature: number }): ManagerOptions;
}

/** Groups that infrastructure may take from one batch or evaluation before the run stops. */
const maxFailures = 8;

/** Throws what opening a part throws, with everything closed that was open. */
export async function openWorkplace(options: WorkplaceOptions): Promise<Workplace> {
  const { config } = options;
  await using parts = new AsyncDisposableStack();
  const reward = await loadReward(config);
  const renderer = await loadRenderer(options.model);
  const journal = parts.adopt(await Journal.open(options.runDirectory, { bodies: true }), (opened) => opened.close());
  const engine = parts.adopt(
    await createEngineHost({
      model: options.model,
      version: options.version,
      optimizer: options.optimizer,
      threads: config.engine.threads,
      cacheBlocks: config.engine.cacheBlocks,
      ...(config.engine.maxTrieTokens !== null && { maxTrieTokens: config.engine.maxTrieTokens }),
      ...(config.engine.cacheMiB !== null && { cacheBytes: config.engine.cacheMiB * 2 ** 20 }),
    }),
    (opened) => opened.close(),
  );
  const proxy = parts.adopt(
    await createProxy({ sampler: engine, renderer, journal, modelName: policyName, port: config.proxy.port }),
    (opened) => opened.close(),
  );
  const sandboxes = parts.adopt(wasmSandboxes({ threads: 2 }), (opened) => opened.close());
  const services: RolloutServices = {
    sessions: proxy.sessions,
    sandboxes,
    verifier: testVerifier({ sandboxes, limits: wasmLimits, seed: seedOf('canaries', config.seed) }),
    harness: builtinHarness(),
    reward,
    clock: systemClock,
  };
  const record = new RecordView(journal.index);
  const open = parts.move();
  return {
    engine,
    journal,
    record,
    renderer,
    manager: (kind) => ({
      services,
      settings: rolloutSettings(config, kind),
      runSeed: config.seed,
      concurrency: config.rollout.concurrency,
      maxFailures,
      signal: options.signal,
      recorded: (rollout) => record.finished(rollout),
      onRollout: async (rollout) => {
        await recordRollout(journal, rollout);
        options.onRollout?.(rollout);
      },
    }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
