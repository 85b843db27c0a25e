/**
 * Builds the native code with address and undefined-behaviour sanitizers and runs the tests that touch it on that build:
 * every access of memory and every overflow is checked, and the first fault ends its process.
 *
 * Covered: kernels, model, trainer, binding, and the engine above them, as far as their tests go. Not covered: races
 * (node is not built for the thread sanitizer), uninitialized memory, and leaks: node and V8 do not free what they hold
 * at exit, so that LeakSanitizer's reports would be theirs.
 *
 * `npm run test:sanitize`, or `node scripts/sanitize.ts PATH...` for single test files. Linux and g++ or clang++.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { addonFolder, allTargets, buildNative } from './build-native.ts';

const tests = ['src/native', 'src/engine', 'test/contract/engine-contract.test.ts'];
const compiler = process.env['CXX'] || 'c++';

/** The runtime must be there before node is: it is not linked into node. */
function preloaded(): string {
  const names = ['libasan.so', 'libubsan.so', 'libstdc++.so'];
  const paths = names.map((name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim());
  const missing = names.filter((name, i) => paths[i] === name);
  if (missing.length === 0) return paths.join(':');
  throw new Error(`${compiler} has no ${missing.join(', ')}: install it (Debian, Ubuntu: apt install g++)`);
}

try {
  for (const name of await buildNative(allTargets, 'sanitize')) console.log(`built ${name} with sanitizers`);
  const given = process.argv.slice(2);
  const { status, signal } = spawnSync(
    'vitest',
    ['run', '--testTimeout=900000', ...(given.length > 0 ? given : tests)],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        LD_PRELOAD: preloaded(),
        ESPALIER_ADDONS: addonFolder('sanitize'),
        // V8 maps its heap at fixed places and catches signals itself.
        ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:allow_user_segv_handler=1:detect_stack_use_after_return=1',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
      },
    },
  );
  if (signal !== null) console.error(`sanitize: the tests ended by ${signal}`);
  process.exitCode = status ?? 1;
} catch (thrown) {
  console.error(`sanitize: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  process.exitCode = 1;
}
