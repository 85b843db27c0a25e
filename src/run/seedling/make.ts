/**
 * Makes `models/seedling` from random weights: vocabulary, demonstrations, supervised training, held-out figures.
 *
 * Everything is a function of the seed; how long it took stands in the folder's README.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, seedOf } from '../../core/random.ts';
import { writeCheckpoint } from '../../engine/checkpoint.ts';
import type { LocalEngine } from '../../engine/engine.ts';
import { randomCheckpoint } from '../../engine/random-checkpoint.ts';
import { builtinTools } from '../../harness/tools.ts';
import { createEngineHost } from '../../host/engine-host.ts';
import { renderedSpans } from '../../learn/stages/rendered.ts';
import { demonstrationOf } from '../../learn/stages/sft.ts';
import { demonstrate } from '../../rollout/demonstrate.ts';
import type { SandboxProvider } from '../../sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../../sandbox/sandboxes/wasm.ts';
import { experts } from '../../tasks/seedlings/habits.ts';
import { trainBpe } from '../../tokens/bpe-trainer.ts';
import { ChatTemplate } from '../../tokens/chat-template.ts';
import { loadRenderer, writeTokenizer } from '../../tokens/load.ts';
import type { Renderer } from '../../tokens/renderer.ts';
import { applySettings } from '../config.ts';
import { type EvaluationResult, evaluateModel } from '../evaluate-model.ts';
import { tasksetOf } from '../tasksets.ts';
import { chatTemplate, endToken, fixedStretches, padToken, specialTokens } from './format.ts';
import { modelReadme } from './model-readme.ts';
import { type Cycle, type Recipe, resolveRecipe } from './recipe.ts';
import { type Draw, supervise } from './supervise.ts';

export interface MakeOptions {
  readonly out: string;
  readonly seed: number;
  readonly set: readonly string[];
}

const maxTurns = 12;

export async function makeSeedlingModel(options: MakeOptions, say: (line: string) => void): Promise<void> {
  const recipe = resolveRecipe(applySettings({}, options.set));
  const startedAt = performance.now();
  const sandboxes = wasmSandboxes({ threads: 1 });
  const scratch = await mkdtemp(join(tmpdir(), 'seedling-'));
  try {
    const files = await makeTokenizer(recipe, options.seed, sandboxes, scratch, say);
    const shape = { ...recipe.shape, ...fixedShape, vocabSize: await vocabularySize(files) };
    await writeCheckpoint(scratch, randomCheckpoint(shape, seedOf('seedling', options.seed), files));
    const renderer = await loadRenderer(scratch);
    const engine = await createEngineHost({ model: scratch, threads: recipe.threads });
    let tokens = 0;
    try {
      const draw = drawer(renderer, sandboxes, options.seed, recipe.contextWeight);
      let drawn = 0;
      for (const [at, cycle] of recipe.cycles.entries()) {
        // Weights go on, moments start anew: each cycle is a whole schedule.
        if (at > 0) await engine.load(options.out, engine.version, 'fresh');
        await supervise(engine, recipe, cycle, drawn, draw, async ({ step, loss, flatTokens }) => {
          tokens += flatTokens;
          if (step % 50 === 0) {
            const seconds = (performance.now() - startedAt) / 1000;
            say(
              `cycle ${at + 1} step ${step}/${cycle.steps}  loss ${loss.toFixed(3)}  ${tokens} tokens  ${seconds.toFixed(0)} s`,
            );
          }
          if (recipe.lookEvery > 0 && step % recipe.lookEvery === 0 && step < cycle.steps) {
            await look(engine, options.out, recipe.lookTasks, say);
          }
        });
        drawn += cycle.steps * recipe.perStep;
        await engine.save(options.out, 'weights');
      }
    } finally {
      await engine.close();
    }
    const minutes = (performance.now() - startedAt) / 60_000;
    const results = await evaluated(options.out, recipe.evaluationTasks, say);
    await writeFile(
      join(options.out, 'README.md'),
      modelReadme({ seed: options.seed, tokens, minutes, recipe, results }),
    );
    say(`${options.out}: ${tokens} tokens in ${minutes.toFixed(1)} minutes`);
  } finally {
    await sandboxes.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

const fixedShape = { ropeTheta: 10_000, normEpsilon: 1e-6, tiedEmbeddings: true, qkNorm: true } as const;

/** Learns the vocabulary from demonstrations and gives the tokenizer's files. */
async function makeTokenizer(
  recipe: Recipe,
  seed: number,
  sandboxes: SandboxProvider,
  scratch: string,
  say: (line: string) => void,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const template = new ChatTemplate(chatTemplate, { bos_token: null, eos_token: endToken });
  const corpus: string[] = [];
  for (let index = 0; index < recipe.corpus; index++) {
    const { messages } = await conversation(
      { tasks: 'train', expert: 'imperfect' },
      index,
      `${seed} corpus`,
      sandboxes,
    );
    corpus.push(template.render(messages, builtinTools, false));
  }
  const trained = trainBpe(corpus, {
    vocabSize: recipe.vocabSize,
    addedTokens: [
      ...specialTokens.map((content) => ({ content, special: true })),
      ...fixedStretches.map((content) => ({ content, special: false })),
    ],
    eosToken: endToken,
    padToken,
    contextLength: recipe.shape.contextLength,
  });
  await writeTokenizer(scratch, trained, chatTemplate);
  const names = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(name, await readFile(join(scratch, name)));
  say(`vocabulary: ${await vocabularySize(files)} tokens from ${recipe.corpus} demonstrations`);
  return files;
}

async function vocabularySize(files: ReadonlyMap<string, Uint8Array>): Promise<number> {
  const json = JSON.parse(new TextDecoder().decode(files.get('tokenizer.json'))) as {
    readonly model: { readonly vocab: Readonly<Record<string, number>> };
    readonly added_tokens: readonly { readonly id: number }[];
  };
  return Math.max(...Object.values(json.model.vocab), ...json.added_tokens.map(({ id }) => id)) + 1;
}

function conversation(
  { tasks, expert }: Pick<Cycle, 'tasks' | 'expert'>,
  index: number,
  seed: string | number,
  sandboxes: SandboxProvider,
) {
  const task = tasksetOf(`seedlings/${tasks}`).task(index);
  const random = new Random(seedOf('expert', seed, index));
  return demonstrate(task, random, sandboxes, { maxTurns, sandbox: wasmLimits, habits: experts[expert] });
}

/** Demonstrations in token ids, with their loss weights. */
function drawer(renderer: Renderer, sandboxes: SandboxProvider, seed: number, contextWeight: number): Draw {
  return async (index, cycle) => {
    const { messages, errorTurns, solved } = await conversation(cycle, index, seed, sandboxes);
    const spans = renderedSpans(messages, errorTurns, renderer, builtinTools);
    return demonstrationOf(spans, contextWeight, solved ? 1 : cycle.unsolvedWeight);
  };
}

async function look(engine: LocalEngine, out: string, tasks: number, say: (line: string) => void): Promise<void> {
  await engine.save(out, 'weights');
  await evaluated(out, tasks, say);
}

async function evaluated(model: string, tasks: number, say: (line: string) => void): Promise<EvaluationResult[]> {
  const results: EvaluationResult[] = [];
  for (const set of ['unseen', 'transfer']) {
    for (const greedy of [false, true]) {
      const result = await evaluateModel({ model, tasks: `seedlings/${set}:${tasks}`, rollouts: 1, greedy, seed: 0 });
      say(`  ${result.text}`);
      results.push(result);
    }
  }
  return results;
}
