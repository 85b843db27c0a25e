/** What `npm start` runs: the seedling model learns to repair JavaScript repositories that it never saw. */
import { defineRun } from './src/run/config.ts';

export default defineRun({
  name: 'start',
  batches: 50,
  rollout: { concurrency: 96 },
  learn: { learningRate: 5e-4 },
  evaluation: { every: 25 },
});
