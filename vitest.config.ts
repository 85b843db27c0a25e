import { defineConfig } from 'vitest/config';
import { CountingReporter } from './test/reporter.ts';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Child processes, as native code and signal handlers are under test; two, as the smallest machine has two cores.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: [new CountingReporter()],
  },
});
