/**
 * `espalier sft`: supervised fine-tuning of a checkpoint on conversations, each prefix that they share computed once.
 *
 * A function of model, conversations, settings and seed: the same bytes on any number of threads.
 */
import { existsSync, readdirSync } from 'node:fs';
import { EspalierError } from '../core/errors.ts';
import { createEngineHost } from '../host/engine-host.ts';
import { type OptimizerOptions, optimizerStep, supervisedOptimizer } from '../learn/optimizer.ts';
import { type Demonstration, defaultContextWeight, sftBatches, sftRequest, sftSteps } from '../learn/stages/sft.ts';
import { whole } from '../report/format.ts';
import { loadRenderer } from '../tokens/load.ts';
import { modelFolder } from './evaluate-model.ts';
import { demonstrationFrom } from './import/demonstrations.ts';
import { readConversations } from './import/read.ts';

export interface SuperviseOptions {
  /** A model folder, or a run directory: its newest checkpoint. */
  readonly model: string;
  /** Chat JSONL or ATIF: files or folders. */
  readonly data: readonly string[];
  /** An empty or new folder. */
  readonly out: string;
  readonly epochs: number;
  readonly perStep: number;
  readonly contextWeight?: number;
  readonly matrices: 'muon' | 'adamw';
  readonly learningRate: number;
  readonly muonLearningRate: number;
  readonly warmupSteps: number;
  /** Over this share of the steps, the last ones, the rates fall to 0. */
  readonly decayShare: number;
  readonly seed: number;
  readonly threads: number;
  /** Leave out conversations that the model's context cannot hold, instead of refusing them. */
  readonly skipLong: boolean;
}

export async function superviseModel(options: SuperviseOptions, say: (line: string) => void): Promise<void> {
  if (existsSync(options.out) && readdirSync(options.out).length > 0) {
    throw new EspalierError('config', `--out ${options.out} is not empty: name a new folder`);
  }
  const model = modelFolder(options.model);
  await using parts = new AsyncDisposableStack();
  const engine = parts.adopt(await createEngineHost({ model, threads: options.threads }), (it) => it.close());
  const demonstrations = await readDemonstrations(options, model, engine.contextLength, say);
  const steps = sftSteps(demonstrations.length, options);
  if (steps === 0) {
    throw new EspalierError(
      'config',
      `${demonstrations.length} conversations do not fill a step of ${options.perStep}: lower --per-step`,
    );
  }
  const optimizer = optimizerOf(options);
  const startedAt = performance.now();
  let step = 0;
  let tokens = 0;
  for (const batch of sftBatches(demonstrations, options)) {
    const { loss } = await engine.train(sftRequest(batch, optimizerStep(optimizer, step, steps)));
    step++;
    tokens += batch.flatTokens;
    if (step % Math.max(1, Math.floor(steps / 50)) !== 0 && step < steps) continue;
    const seconds = (performance.now() - startedAt) / 1000;
    const shared = (batch.flatTokens / batch.treeTokens).toFixed(2);
    say(
      `step ${step}/${steps}  loss ${loss.toFixed(3)}  ${whole(tokens / seconds)} tokens/s, ${shared} a token computed  ` +
        `${whole((seconds / step) * (steps - step))} s left`,
    );
  }
  await engine.publish();
  await engine.save(options.out, 'weights');
  say(`${options.out}: ${whole(tokens)} tokens in ${steps} steps`);
}

async function readDemonstrations(
  { data, contextWeight = defaultContextWeight, skipLong }: SuperviseOptions,
  model: string,
  contextLength: number,
  say: (line: string) => void,
): Promise<Demonstration[]> {
  const renderer = await loadRenderer(model);
  const demonstrations: Demonstration[] = [];
  let long = 0;
  for (const file of data) {
    let at = 0;
    for await (const conversation of readConversations(file)) {
      at++;
      const demonstration = demonstrationFrom(conversation, renderer, contextWeight);
      if (demonstration.ids.length <= contextLength) demonstrations.push(demonstration);
      else if (skipLong) long++;
      else {
        throw new EspalierError(
          'config',
          `conversation ${at} of ${file} has ${demonstration.ids.length} tokens and the model's context ` +
            `${contextLength}: shorten it, or leave such out with --skip-long`,
        );
      }
    }
  }
  say(`${whole(demonstrations.length)} conversations${long === 0 ? '' : `, ${whole(long)} left out as too long`}`);
  return demonstrations;
}

function optimizerOf(options: SuperviseOptions): OptimizerOptions {
  const { matrices, learningRate, muonLearningRate, warmupSteps, decayShare } = options;
  return {
    ...supervisedOptimizer,
    matrices,
    learningRate,
    muonLearningRate,
    schedule: { kind: 'warm-up-stable-decay', warmupSteps, decayShare },
  };
}
