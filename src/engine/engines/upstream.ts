/** Opens the engine at an address: which kind it is, what it can do, and whether that is enough. */
import type { PolicyVersion } from '../../core/ids.ts';
import { sglang } from './sglang.ts';
import { kindOf, type Needs, probe } from './upstream/probe.ts';
import type { UpstreamKind } from './upstream/protocol.ts';
import { UpstreamServer } from './upstream/server.ts';
import { UpstreamEngine } from './upstream/upstream-engine.ts';
import { vllm } from './vllm.ts';

export type { Needs, UpstreamKind };

export interface UpstreamOptions {
  /** `http://127.0.0.1:8000`, with or without `/v1`. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly key?: string | null;
  /** Not given: what the server says that it is. */
  readonly kind?: UpstreamKind;
  readonly vocabSize: number;
  /** What the server's present weights are called; 0 when not given. */
  readonly version?: PolicyVersion;
  readonly needs?: Needs;
  readonly quietMs?: number;
}

const protocols = { vllm, sglang };

/** Throws EspalierError('config') for a server that is not there or cannot do what is needed. */
export async function openUpstream(options: UpstreamOptions): Promise<UpstreamEngine> {
  const server = new UpstreamServer(options.url, options.key ?? null);
  try {
    const protocol = protocols[options.kind ?? (await kindOf(server))];
    return new UpstreamEngine(server, protocol, await probe(server, protocol, options.needs ?? {}), options);
  } catch (thrown) {
    server.close();
    throw thrown;
  }
}
