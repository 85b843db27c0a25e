/**
 * Serves a model folder by a real vLLM and holds the contract of every engine against it: sampling, pause, and weights
 * that change in mid-turn, with each log-probability compared with our own kernels' score of the same folder.
 *
 *     node test/upstreams/try-vllm.ts PYTHON MODEL        (README.md says how both are made)
 *
 * Not covered: GPUs, several devices, speed. Ends with the exit status of the suite.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const port = 8811;
const url = `http://127.0.0.1:${port}`;
const startMs = Number(process.env['ESPALIER_VLLM_START_MS'] ?? 600_000);
const [python, model] = process.argv.slice(2);
if (python === undefined || model === undefined) {
  console.error('usage: node test/upstreams/try-vllm.ts PYTHON MODEL');
  process.exit(2);
}

// A small context, so that the suite can reach its end; float32, so that it can compare.
const options = `--served-model-name tried --host 127.0.0.1 --port ${port} --dtype float32 --max-model-len 256 --max-num-seqs 8 --enforce-eager`;
const log = join(tmpdir(), 'espalier-try-vllm.log');
const server = spawn(python, ['-m', 'vllm.entrypoints.openai.api_server', '--model', model, ...options.split(' ')], {
  detached: true,
  stdio: ['ignore', 'pipe', 'pipe'],
  env: {
    ...{ VLLM_SERVER_DEV_MODE: '1', VLLM_CPU_KVCACHE_SPACE: '1', VLLM_CPU_OMP_THREADS_BIND: 'nobind' },
    ...{ OMP_NUM_THREADS: '1', HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1', ...process.env },
  },
});
const output = createWriteStream(log);
server.stdout.pipe(output);
server.stderr.pipe(output);
console.log(`vLLM starts, its log is ${log}`);
try {
  await ready();
  process.exitCode = await runSuite(model);
} finally {
  // Its workers too: the group is its own.
  if (server.exitCode === null && server.pid !== undefined) process.kill(-server.pid, 'SIGTERM');
}

async function ready(): Promise<void> {
  const until = Date.now() + startMs;
  while (server.exitCode === null && Date.now() < until) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok === true) return;
    await new Promise((later) => setTimeout(later, 1000));
  }
  throw new Error(`vLLM did not start in ${startMs / 1000} s: read ${log}`);
}

async function runSuite(folder: string): Promise<number> {
  const patience = ['--testTimeout', '600000', '--hookTimeout', '600000'];
  const args = [
    'vitest',
    'run',
    'test/contract/engine-contract.test.ts',
    '-t',
    url,
    '--reporter',
    'verbose',
    ...patience,
  ];
  const suite = spawn('npx', args, {
    stdio: 'inherit',
    env: { ...process.env, ESPALIER_ENGINE_URL: url, ESPALIER_ENGINE_MODEL: folder },
  });
  const [code] = (await once(suite, 'exit')) as [number | null];
  return code ?? 1;
}
