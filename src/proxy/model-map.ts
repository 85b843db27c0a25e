/**
 * Which model answers under which name: agents ask for several, for titles, summaries and sub-agents.
 *
 * An entry is `name=policy`, `name=untrained` (the policy answers, and nothing is learned from it), `name=refuse`, or
 * `name=http://host/v1`, a frozen model elsewhere, which is asked under the same name or, with `#other` behind it,
 * under another one. `*` is every other name.
 */
import { EspalierError, messageOf } from '../core/errors.ts';
import { type Upstream, upstreamOf } from './relay/headers.ts';

export type ModelTarget =
  | { readonly to: 'policy'; readonly trainable: boolean }
  | { readonly to: 'refuse' }
  | {
      readonly to: 'upstream';
      readonly upstream: Upstream;
      /** The upstream's name for it; null is the name that was asked for. */
      readonly model: string | null;
    };

export class ModelMap {
  readonly #targets: ReadonlyMap<string, ModelTarget>;
  readonly #otherwise: ModelTarget;

  private constructor(targets: ReadonlyMap<string, ModelTarget>, otherwise: ModelTarget) {
    this.#targets = targets;
    this.#otherwise = targets.get('*') ?? otherwise;
  }

  /** Every name is the policy's unless an entry says otherwise. Throws EspalierError('config') for what is no entry. */
  static of(entries: readonly string[]): ModelMap {
    return new ModelMap(new Map(entries.map(read)), { to: 'policy', trainable: true });
  }

  /** Only `name`, the policy's. */
  static only(name: string): ModelMap {
    return new ModelMap(new Map([[name, { to: 'policy', trainable: true }]]), { to: 'refuse' });
  }

  get(requested: string): ModelTarget {
    return this.#targets.get(requested) ?? this.#otherwise;
  }

  /**
   * These entries before this map's. Throws EspalierError('config'), also for an upstream that this map does not have:
   * whoever opens sessions may choose among the upstreams that the server was started with, whose key is sent there.
   */
  with(entries: readonly string[]): ModelMap {
    const known = new Set(this.#upstreams());
    const added = new Map(entries.map(read));
    for (const target of added.values()) {
      if (target.to !== 'upstream' || known.has(addressOf(target.upstream))) continue;
      throw new EspalierError(
        'config',
        `${addressOf(target.upstream)} is no upstream of this server: start it with a --model-map that has it`,
      );
    }
    return new ModelMap(new Map([...this.#targets, ...added]), this.#otherwise);
  }

  #upstreams(): string[] {
    return [...this.#targets.values()].flatMap((target) =>
      target.to === 'upstream' ? [addressOf(target.upstream)] : [],
    );
  }
}

const addressOf = ({ origin, base }: Upstream): string => `${origin}${base}/v1`;

function read(entry: string): [string, ModelTarget] {
  const [, name, to] = /^(.+?)=(policy|untrained|refuse|https?:\/\/.+)$/.exec(entry) ?? [];
  if (name === undefined || to === undefined) {
    throw new EspalierError(
      'config',
      `--model-map ${entry}: write it as name=policy, name=untrained, name=refuse or name=http://host/v1#model; ` +
        '* is any other name',
    );
  }
  return [name, targetOf(entry, to)];
}

function targetOf(entry: string, to: string): ModelTarget {
  if (to === 'refuse') return { to };
  if (to === 'policy' || to === 'untrained') return { to: 'policy', trainable: to === 'policy' };
  const [address, model] = to.split(/#(.*)/s) as [string, string | undefined];
  try {
    return { to: 'upstream', upstream: upstreamOf(address), model: model === undefined || model === '' ? null : model };
  } catch (cause) {
    throw new EspalierError('config', `--model-map ${entry}: ${messageOf(cause).replace(/^--upstream \S+ /, '')}`, {
      cause,
    });
  }
}
