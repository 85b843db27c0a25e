/** What `npm start` runs: the seedling model learns to repair JavaScript repositories that it never saw. */
import { defineRun } from './src/run/config.ts';

export default defineRun({
  name: 'start',
  batches: 80,
  rollout: { concurrency: 96 },
  // Failures push less than successes pull: that sharpens the policy, and turns stay few.
  learn: { learningRate: 1e-3, decayShare: 1, negativeScale: 0.25 },
  evaluation: { every: 40 },
});
