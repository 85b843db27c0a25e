/** How `models/seedling` is made. The defaults are what the committed model was made with. */
import { z } from 'zod';
import { EspalierError } from '../../core/errors.ts';

const positive = z.number().int().positive();

const schema = z.strictObject({
  shape: z
    .strictObject({
      hiddenSize: positive.default(96),
      intermediateSize: positive.default(256),
      layerCount: positive.default(4),
      headCount: positive.default(4),
      kvHeadCount: positive.default(2),
      headDim: positive.default(24),
      contextLength: positive.default(1024),
    })
    .prefault({}),
  vocabSize: positive.default(1280),
  /** Demonstrations that the vocabulary is learned from. */
  corpus: positive.default(2000),
  /** Each cycle warms up, learns and decays; the next goes on from its weights with a fresh optimizer. */
  cycles: z
    .array(
      z.strictObject({
        steps: positive,
        /** In `practice` every file is wrong. */
        tasks: z.enum(['train', 'practice']).default('train'),
        expert: z.enum(['imperfect', 'careful']).default('imperfect'),
        decayShare: z.number().min(0).max(1).default(0.5),
        /** Weight of the assistant's tokens in a demonstration that did not solve its task. */
        unsolvedWeight: z.number().min(0).max(1).default(1),
      }),
    )
    .prefault([
      { tasks: 'practice', expert: 'careful', steps: 3600, decayShare: 0.2 },
      { tasks: 'train', expert: 'imperfect', steps: 3000, unsolvedWeight: 0.3 },
    ]),
  /** Demonstrations a step. Every one is new. */
  perStep: positive.default(16),
  contextWeight: z.number().min(0).default(0.2),
  learningRate: z.number().positive().default(3e-3),
  muonLearningRate: z.number().positive().default(0.02),
  warmupSteps: positive.default(50),
  threads: positive.default(2),
  /** Steps between held-out looks, 0 is none, and their tasks of each set. */
  lookEvery: z.number().int().min(0).default(1800),
  lookTasks: positive.default(75),
  /** Tasks of each set in the last evaluation. */
  evaluationTasks: positive.default(300),
});

export type Recipe = z.output<typeof schema>;
export type Cycle = Recipe['cycles'][number];

export function resolveRecipe(input: unknown): Recipe {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const text = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new EspalierError('config', `--set: ${text}`);
}
