/**
 * The engines that the contract is held against.
 *
 * Servers are our fakes of them (test/upstreams), over real sockets and in front of the embedded engine. A real one is
 * added by ESPALIER_ENGINE_URL, with its model folder in ESPALIER_ENGINE_MODEL (test/upstreams/README.md).
 */
import { existsSync } from 'node:fs';
import { type PolicyVersion, policyVersion } from '../../src/core/ids.ts';
import type { LocalEngine, Sampler } from '../../src/engine/engine.ts';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { ScriptedSampler } from '../../src/engine/engines/scripted.ts';
import { openUpstream } from '../../src/engine/engines/upstream.ts';
import { Replicas } from '../../src/engine/replicas.ts';
import type { Upstream } from '../../src/engine/upstream.ts';
import { createEngineHost } from '../../src/host/engine-host.ts';
import type { FakeServer } from '../upstreams/fake-server.ts';
import { FakeSglang } from '../upstreams/fake-sglang.ts';
import { FakeVllm } from '../upstreams/fake-vllm.ts';
import { tinyShape } from './engine-models.ts';

/** What engines with weights have in common. */
export interface WithWeights extends Sampler {
  readonly version: number;
  pause(): Promise<void>;
  resume(): Promise<void>;
  load(directory: string, version: number): Promise<void>;
  close(): Promise<void>;
}

export interface Kind {
  readonly name: string;
  /** Why it cannot run here, or null. */
  readonly skip: string | null;
  /** What log-probabilities of the same token under the same weights may differ by; 0: not by a bit. */
  readonly tolerance: number;
  open(): Promise<Sampler & { close?(): Promise<void> }>;
  /** Null for a kind without weights. */
  readonly openWithWeights: (() => Promise<WithWeights>) | null;
  /** The folder that it serves. */
  model(): string;
}

const built = existsSync(new URL('../../native/build/espalier.node', import.meta.url));
const { vocabSize, contextLength } = tinyShape;
const needs = { drawings: [{ temperature: 1 }, { temperature: 0 }], newWeights: true };

export function kindsOf(model: () => string): Kind[] {
  const kind = (name: string, open: () => Promise<WithWeights>): Kind => ({
    ...{ name, model, open, openWithWeights: open, tolerance: 0 },
    skip: built ? null : 'the native addon is not built',
  });
  const local = (name: string, open: () => Promise<LocalEngine>) =>
    kind(name, async () => {
      const engine = await open();
      return withWeights(engine, (folder, version) => engine.load(folder, version, 'fresh'));
    });
  const behind = (name: string, ...servers: (() => FakeServer)[]) =>
    kind(name, () => openBehind(servers.map((server) => server())));
  const vllm = () => new FakeVllm({ model: model() });
  const sglang = () => new FakeSglang({ model: model() });
  return [
    local('embedded', () => openEmbedded({ model: model(), threads: 2 })),
    local('host(embedded)', () => createEngineHost({ model: model(), threads: 2 })),
    { ...{ name: 'scripted', skip: null, tolerance: 0, model }, open: async () => scripted(), openWithWeights: null },
    behind('vllm(fake)', vllm),
    behind('sglang(fake)', sglang),
    behind('sglang(fake, incremental)', () => new FakeSglang({ model: model(), incremental: true })),
    behind('replicas(vllm, sglang)', vllm, sglang),
    ...realServer(),
  ];
}

async function openBehind(servers: readonly FakeServer[]): Promise<WithWeights> {
  await Promise.all(servers.map((server) => server.listen()));
  const engines = await Promise.all(servers.map(({ url }) => openUpstream({ url, vocabSize, needs })));
  const engine = engines.length === 1 ? (engines[0] as Upstream) : new Replicas(engines);
  const closeAll = async () => {
    await engine.close();
    await Promise.all(servers.map((server) => server.crash()));
  };
  return Object.assign(
    withWeights(engine, (folder, version) => engine.load(folder, version)),
    { close: closeAll },
  );
}

/** A server that someone started. Its arithmetic is its own: log-probabilities agree to rounding. */
function realServer(): Kind[] {
  const url = process.env['ESPALIER_ENGINE_URL'];
  const model = process.env['ESPALIER_ENGINE_MODEL'];
  if (url === undefined || model === undefined) return [];
  const open = async () => {
    const engine = await openUpstream({ url, vocabSize, needs });
    return withWeights(engine, (folder, version) => engine.load(folder, version));
  };
  return [{ ...{ name: url, skip: null, open, openWithWeights: open }, model: () => model, tolerance: 1e-3 }];
}

type AnyEngine = Sampler & Pick<Upstream, 'pause' | 'resume' | 'close'> & { readonly version: PolicyVersion };

function withWeights(
  engine: AnyEngine,
  load: (directory: string, version: PolicyVersion) => Promise<void>,
): WithWeights {
  return {
    contextLength: engine.contextLength,
    vocabSize: engine.vocabSize,
    get version() {
      return engine.version;
    },
    generate: (request) => engine.generate(request),
    pause: () => engine.pause(),
    resume: () => engine.resume(),
    load: (directory, version) => load(directory, policyVersion(version)),
    close: () => engine.close(),
  };
}

const scripted = () =>
  new ScriptedSampler({
    contextLength,
    vocabSize,
    complete: (prompt) => Int32Array.from({ length: 300 }, (_, i) => (i + (prompt[0] as number)) % vocabSize),
  });
