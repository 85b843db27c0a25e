/**
 * Serves a model to an agent of your own, and records what it samples: engine, journal and proxy without a trainer.
 *
 * Not a rollout manager: it opens one session, hands out no task and grades nothing. What is recorded is what training
 * would read, and `espalier inspect` shows it.
 *
 *   node examples/own-agent.ts models/seedling [--run DIR] [--port N] [--temperature T] [--max-tokens N]
 */
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { EspalierError } from '../src/core/errors.ts';
import { groupId, rolloutId } from '../src/core/ids.ts';
import { seedOf } from '../src/core/random.ts';
import { createEngineHost } from '../src/host/engine-host.ts';
import { createProxy } from '../src/proxy/proxy.ts';
import { resolveConfig } from '../src/run/config.ts';
import { RunDirectory } from '../src/run/directory.ts';
import { onInterrupt } from '../src/run/interrupt.ts';
import { policyName } from '../src/run/options.ts';
import { loadRenderer } from '../src/tokens/load.ts';
import { Journal } from '../src/trajectory/journal.ts';
import { type RecordedTurn, turnsOf } from '../src/trajectory/turns.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    run: { type: 'string' },
    port: { type: 'string', default: '0' },
    temperature: { type: 'string', default: '1' },
    'max-tokens': { type: 'string', default: '256' },
  },
});

try {
  await serve(positionals[0] ?? 'models/seedling');
} catch (thrown) {
  if (!(thrown instanceof EspalierError)) throw thrown;
  console.error(`own-agent: ${thrown.message}`);
  process.exitCode = 1;
}

async function serve(model: string): Promise<void> {
  using interrupt = onInterrupt();
  const config = resolveConfig({ name: 'own-agent', model, proxy: { port: Number(values.port) } }, 'own-agent');
  // A run directory, so that `espalier inspect` reads it.
  await using parts = new AsyncDisposableStack();
  const renderer = await loadRenderer(model);
  const engine = parts.adopt(await createEngineHost({ model, threads: config.engine.threads }), (it) => it.close());
  const directory = await RunDirectory.create(config, values.run ?? null);
  const journal = parts.adopt(await Journal.open(directory.path, { bodies: true }), (it) => it.close());
  const proxy = parts.adopt(
    await createProxy({ sampler: engine, renderer, journal, modelName: policyName, port: config.proxy.port }),
    (it) => it.close(),
  );

  const rollout = rolloutId(groupId('own-agent', 0), 0);
  const session = await proxy.sessions.open(rollout, {
    temperature: Number(values.temperature),
    maxTokensPerTurn: Number(values['max-tokens']),
    seed: seedOf(config.seed, rollout),
    trainable: true,
  });
  console.log(`export OPENAI_BASE_URL=${session.baseUrl}`);
  console.log(`export OPENAI_API_KEY=${session.apiKey}`);
  console.log(`export OPENAI_MODEL=${policyName}`);
  console.error(
    `serving ${model}, context ${engine.contextLength}; Ctrl-C ends the session and shows what it recorded`,
  );
  await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve));

  const facts = await session.close();
  for (const turn of turnsOf(journal.index.turns(rollout))) console.log(turnText(turn));
  const path = relative(process.cwd(), directory.path);
  console.log(`${facts.turns} turns, ${facts.exactTurns} exact, ${facts.sampledTokens} sampled tokens, in ${path}`);
  console.log(`read them with: npm run espalier -- inspect ${path} --rollout ${rollout} --json`);
}

function turnText({ id, fidelity, prompt, reused, completion, behaviorLogprobs, finishReason }: RecordedTurn): string {
  const logprobs = Array.from(behaviorLogprobs, (value) => value.toFixed(3));
  return [
    `${id}: ${fidelity}, ${finishReason}`,
    `  prompt      ${prompt.length} tokens, the first ${reused} as recorded before`,
    `  completion  ${completion.join(' ')}`,
    `  logprobs    ${logprobs.join(' ')}`,
  ].join('\n');
}
