/**
 * A run's configuration: one typed object with working defaults, strict about what it does not know.
 *
 * Not here: anything that is derived. The resolved object lies in the run directory as `config.json`, with the numerics
 * version, and is all that `--resume`, `replay` and `inspect` read; they never execute a configuration file.
 */
import { z } from 'zod';
import { EspalierError } from '../core/errors.ts';

/** Bumped when equal inputs would give other bits: stored runs of another numerics version refuse to replay. */
export const numericsVersion = 2;

const positive = z.number().int().positive();
const share = z.number().min(0).max(1);

const rolloutSchema = z
  .strictObject({
    /** Groups of a batch that carry a signal. */
    groupsPerBatch: positive.default(12),
    groupSize: z.number().int().min(2).default(8),
    /** Draws after which a batch goes on with the groups that it has; all-equal groups are dropped and redrawn. */
    maxDraws: positive.default(36),
    concurrency: positive.default(48),
    maxTurns: positive.default(12),
    maxTokensPerTurn: positive.default(96),
    /** Wall-clock bound of one rollout; a rollout that meets it is truncated. */
    timeMs: positive.default(60_000),
    /** Attempts after an infrastructure failure. */
    retries: z.number().int().min(0).default(2),
  })
  .prefault({});

const learnSchema = z
  .strictObject({
    temperature: z.number().positive().default(1),
    clipLow: share.default(0.2),
    clipHigh: z.number().min(0).default(0.28),
    /** Optimizer steps that a batch is split into, by groups. */
    stepsPerBatch: positive.default(2),
    learningRate: z.number().positive().default(3e-4),
    /** Steps over which the rate rises linearly. */
    warmupSteps: z.number().int().min(0).default(0),
    /** After the warm-up; `linear` and `cosine` fall over the whole run to `rateFloor` times the rate. */
    schedule: z.enum(['constant', 'linear', 'cosine']).default('constant'),
    rateFloor: share.default(0),
    /** With `constant`: over this share of the run's steps, its last, the rate falls linearly to 0. */
    decayShare: share.default(0),
    weightDecay: z.number().min(0).default(0),
    gradientClip: z.number().positive().default(1),
    /** Reward = pass * (1 - turnPrice * turns), not below 0: a price multiplies the pass. */
    turnPrice: z.number().min(0).max(1).default(0),
    /** Factor on negative advantages. */
    negativeScale: share.default(1),
    /** `std`: (r - mean) / std of the group; `none`: r - mean. */
    normalize: z.enum(['std', 'none']).default('std'),
    /** A token that several trajectories share weighs by its branches, or once. */
    sharedTokens: z.enum(['per-branch', 'once']).default('per-branch'),
    /** Tokens of a step's trie at most: beyond it, what the policy was surest of is left out. null is no limit. */
    tokenBudget: positive.nullable().default(null),
    /** `shuffled` permutes the rewards within a batch: nothing may be learned. */
    control: z.enum(['none', 'shuffled']).default('none'),
  })
  .refine(({ schedule, decayShare }) => schedule === 'constant' || decayShare === 0, {
    path: ['decayShare'],
    message: 'goes with the schedule constant only: linear and cosine fall over the whole run',
  })
  .refine(({ schedule, rateFloor }) => schedule !== 'constant' || rateFloor === 0, {
    path: ['rateFloor'],
    message: 'goes with the schedules linear and cosine only',
  })
  .prefault({});

const evaluationSchema = z
  .strictObject({
    sets: z.array(z.string()).default(['seedlings/unseen', 'seedlings/transfer']),
    /** Tasks of each set at the first and the last evaluation. */
    tasks: positive.default(300),
    /** Batches between the evaluations in between; 0 is none. */
    every: z.number().int().min(0).default(10),
    /** Tasks of each set in those (sampled only). */
    tasksBetween: positive.default(100),
    greedy: z.boolean().default(true),
    /** Filters of held-out sampling, in this order; what is learned from is always drawn from every token. */
    topK: z.number().int().min(0).default(0),
    topP: z.number().min(1e-6).max(1).default(1),
    minP: share.default(0),
    /** Rollouts of each task in the first and the last sampled evaluation; from 8 on, pass@8 is reported. */
    rolloutsPerTask: positive.default(1),
  })
  .prefault({});

const onlyEmbedded =
  'only the embedded engine trains, and a run samples what it trains on; vLLM and SGLang sample for espalier serve';

const schema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/, 'lower-case letters, digits and dashes')
    .default('run'),
  /** A Hugging Face folder: weights, tokenizer, chat template. */
  model: z.string().default('models/seedling'),
  seed: z.number().int().min(0).default(0),
  /** Batches of the run; each makes `learn.stepsPerBatch` optimizer steps. */
  batches: z.number().int().min(0).default(40),
  tasks: z.string().default('seedlings/train'),
  harness: z.enum(['builtin']).default('builtin'),
  /** A module that exports what a graded rollout earns (reward.ts), relative to the configuration file; null: its pass. */
  reward: z.string().min(1).nullable().default(null),
  rollout: rolloutSchema,
  learn: learnSchema,
  evaluation: evaluationSchema,
  engine: z
    .strictObject({
      threads: positive.default(2),
      cacheBlocks: positive.default(4096),
      /** Most memory of the key/value cache; null: `cacheBlocks` alone says how large it is. */
      cacheMiB: positive.nullable().default(null),
      /** Trie tokens of one training pass: a larger step is made in several, with summed gradients. null: no limit. */
      maxTrieTokens: positive.nullable().default(null),
      kind: z.literal('embedded', { error: onlyEmbedded }).optional(),
    })
    .prefault({}),
  proxy: z.strictObject({ port: z.number().int().min(0).max(65_535).default(0) }).prefault({}),
  /** Batches between checkpoints that a resume can start from. */
  checkpointEvery: positive.default(10),
});

/** What a configuration file gives: everything may be left out. */
export type RunConfigInput = z.input<typeof schema>;
/** What a run works with: nothing is left out. */
export type RunConfig = z.output<typeof schema>;

/** Types a configuration file; `resolveConfig` checks it. */
export function defineRun(config: RunConfigInput): RunConfigInput {
  return config;
}

/** Fills in defaults. Throws EspalierError('config') that names every unknown key and every value out of range. */
export function resolveConfig(input: unknown, from: string): RunConfig {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const at = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      const known = Object.keys(defaultsAt(issue.path)).join(', ');
      const keys = issue.keys.map((key) => [...issue.path, key].join('.')).join(', ');
      const filters = at !== 'evaluation' && issue.keys.some((key) => ['topK', 'topP', 'minP'].includes(key));
      return `unknown key ${keys} (known: ${known})${filters ? `; ${whyUntruncated}` : ''}`;
    }
    return `${at === '' ? 'the configuration' : at}: ${issue.message}`;
  });
  throw new EspalierError('config', `${from}: ${problems.join('; ')}`);
}

const whyUntruncated =
  'what is learned from is drawn from every token, since its log-probability under the whole distribution is what the ' +
  'trainer recomputes; held-out rollouts take evaluation.topK, topP and minP';

function defaultsAt(path: readonly PropertyKey[]): Record<string, unknown> {
  let at: unknown = schema.parse({});
  for (const key of path) at = (at as Record<PropertyKey, unknown>)[key];
  return at as Record<string, unknown>;
}

/** Applies `--set learn.turnPrice=0.1`: the value is JSON, or a string where it is none. */
export function applySettings(input: RunConfigInput, settings: readonly string[]): unknown {
  const copy = structuredClone(input) as Record<string, unknown>;
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals < 1)
      throw new EspalierError('config', `--set ${setting}: write it as key=value, e.g. learn.turnPrice=0.1`);
    const path = setting.slice(0, equals).split('.');
    const last = path.pop() as string;
    let at = copy;
    for (const key of path) {
      const next = at[key] ?? {};
      if (typeof next !== 'object' || Array.isArray(next)) {
        throw new EspalierError('config', `--set ${setting}: ${key} holds a value, not settings`);
      }
      at[key] = next;
      at = next as Record<string, unknown>;
    }
    at[last] = jsonOrText(setting.slice(equals + 1));
  }
  return copy;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
