/** What `npm start` runs: the seedling model learns to repair JavaScript repositories that it never saw. */
import { defineRun } from './src/run/config.ts';

export default defineRun({
  name: 'start',
  batches: 60,
  rollout: { concurrency: 96 },
  learn: { learningRate: 8e-4, decayShare: 1 },
  evaluation: { every: 30 },
});
