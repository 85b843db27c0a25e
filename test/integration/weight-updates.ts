/**
 * New weights, many times, under agents at work: the real engine in its process, a tiny model, stock clients in every
 * dialect.
 *
 * An update comes whenever some tokens have been sampled since the last one, so that most replies are of several
 * versions. Not measured: how long an update takes; a random model is trained on random ids, and learns nothing.
 */
import { join } from 'node:path';
import { messageOf } from '../../src/core/errors.ts';
import { groupId, policyVersion, type RolloutId, rolloutId } from '../../src/core/ids.ts';
import { Random, seedOf } from '../../src/core/random.ts';
import type { TrainRequest } from '../../src/engine/engine.ts';
import { createEngineHost, type EngineHost } from '../../src/host/engine-host.ts';
import { reinforcementOptimizer } from '../../src/learn/optimizer.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import { loadRenderer } from '../../src/tokens/load.ts';
import type { Renderer } from '../../src/tokens/renderer.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { pathOf, type RecordedTurn, turnsOf } from '../../src/trajectory/turns.ts';
import { writeTinyModel } from './run-fixture.ts';
import { type DialectName, dialects } from './sdk-agents.ts';

export interface UpdateOptions {
  /** A folder for models and records; it must be empty. */
  readonly folder: string;
  readonly updates: number;
  readonly agents: number;
  readonly progress?: (line: string) => void;
}

export interface UpdateReport {
  readonly updates: number;
  readonly calls: number;
  readonly failures: readonly string[];
  readonly turns: number;
  readonly tokens: number;
  /** Turns with tokens of several versions. */
  readonly mixedTurns: number;
  /** Versions of which tokens are recorded. */
  readonly versions: number;
  /** Of the record, against what agents got and what each version's weights say. Empty when all is right. */
  readonly wrong: readonly string[];
}

const tokensBetween = 24;
const tokensPerTurn = 40;
const turnsPerConversation = 4;
const sampling = { temperature: 1, maxTokensPerTurn: tokensPerTurn, seed: 7n, trainable: true };

export async function updateUnderAgents(options: UpdateOptions): Promise<UpdateReport> {
  const { folder, updates, progress = () => undefined } = options;
  const model = join(folder, 'model');
  await writeTinyModel(model);
  const renderer = await loadRenderer(model);
  await using engine = closing(await createEngineHost({ model, version: policyVersion(0), threads: 1 }));
  await engine.save(weightsOf(folder, 0), 'weights');
  const agents = await workWhile(options, engine, renderer, async () => {
    for (let update = 1; update <= updates; update++) {
      await renew(engine, weightsOf(folder, update), update);
      if (update % 100 === 0) progress(`${update} updates`);
    }
  });
  progress('comparing the record with what agents got, and with the weights of each version');
  const journal = await Journal.open(join(folder, 'run'));
  const turns = agents.map((agent) => turnsOf(journal.index.turns(agent.rollout)));
  await journal.close();
  const all = turns.flat();
  return {
    updates,
    calls: agents.reduce((sum, agent) => sum + agent.calls, 0),
    failures: agents.flatMap((agent) => agent.failures),
    turns: all.length,
    tokens: all.reduce((sum, turn) => sum + turn.completion.length, 0),
    mixedTurns: all.filter(({ versions }) => versions[0] !== versions.at(-1)).length,
    versions: new Set(all.flatMap(({ versions }) => [...versions])).size,
    wrong: [
      ...agents.flatMap((agent, i) => differences(agent, turns[i] as RecordedTurn[], renderer)),
      ...(await wrongVersions(engine, all, updates, folder)),
    ],
  };
}

const weightsOf = (folder: string, version: number): string => join(folder, 'versions', String(version));
const closing = (engine: EngineHost): EngineHost & AsyncDisposable =>
  Object.assign(engine, { [Symbol.asyncDispose]: () => engine.close() });

/** As a run does it: samplers stop at a token, the new weights take their place, and the samplers go on. */
async function renew(engine: EngineHost, saveIn: string, update: number): Promise<void> {
  const { sampledTokens: before } = await engine.statistics();
  while ((await engine.statistics()).sampledTokens < before + tokensBetween) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await engine.train(randomStep(engine.vocabSize, update));
  await engine.pause();
  await engine.publish();
  await engine.save(saveIn, 'weights');
  await engine.resume();
}

function randomStep(vocabSize: number, update: number): TrainRequest {
  const random = new Random(seedOf('weight updates', String(update)));
  const length = 12;
  const tokens = Int32Array.from({ length }, () => Math.floor(random.next() * vocabSize));
  const each = (value: number): Float32Array => new Float32Array(length - 1).fill(value);
  return {
    batch: {
      tokens,
      spanStart: Int32Array.of(0, length),
      spanParent: Int32Array.of(-1),
      termNode: Int32Array.from({ length: length - 1 }, (_, i) => i),
      termTarget: tokens.slice(1),
      termBehaviorLogprob: each(0),
      termAPos: each(0),
      termANeg: each(0),
      termCount: each(1),
    },
    objective: { kind: 'cross-entropy', normalizer: length - 1 },
    optimizer: reinforcementOptimizer,
  };
}

interface WorkingAgent {
  readonly rollout: RolloutId;
  calls: number;
  readonly failures: string[];
  /** What it got, in order. */
  readonly heard: string[];
}

/** Agents in every dialect and form, until `done` is; then each ends with the reply that it waits for. */
async function workWhile(
  { folder, agents: count }: UpdateOptions,
  engine: EngineHost,
  renderer: Renderer,
  done: () => Promise<void>,
): Promise<WorkingAgent[]> {
  const journal = await Journal.open(join(folder, 'run'));
  const proxy = await createProxy({ sampler: engine, renderer, journal, modelName: 'policy' });
  const state = { ended: false };
  const names = Object.keys(dialects) as DialectName[];
  const agents = Array.from({ length: count }, async (_, i) => {
    const agent: WorkingAgent = { rollout: rolloutId(groupId('updates', 0), i), calls: 0, failures: [], heard: [] };
    const { baseUrl, apiKey } = await proxy.sessions.open(agent.rollout, { ...sampling, seed: BigInt(i) });
    const dialect = names[i % names.length] as DialectName;
    for (let task = 0; !state.ended; task++) {
      const stream = (i + task) % 2 === 0;
      const address = { baseUrl, apiKey, model: 'policy', stream, tools: {}, maxRetries: 0 };
      await converse(agent, dialects[dialect]({ ...address, task: `Task ${task}.` }), state);
    }
    return agent;
  });
  try {
    await done();
  } finally {
    state.ended = true;
    await Promise.allSettled(agents);
    await proxy.close();
    await journal.close();
  }
  return Promise.all(agents);
}

async function converse(
  agent: WorkingAgent,
  conversation: ReturnType<(typeof dialects)[DialectName]>,
  state: { readonly ended: boolean },
): Promise<void> {
  for (let turn = 0; turn < turnsPerConversation && !state.ended; turn++) {
    agent.calls++;
    try {
      const { text, calls } = await conversation.ask();
      agent.heard.push(text.trim());
      if (calls.length > 0) conversation.answer(calls.map(({ id }) => ({ id, content: 'There is no such tool.' })));
    } catch (failure) {
      agent.failures.push(messageOf(failure));
      return;
    }
    conversation.say(`Go on, ${turn}.`);
  }
}

/** Between a rollout's record and what its agent got. */
function differences(agent: WorkingAgent, turns: readonly RecordedTurn[], renderer: Renderer): string[] {
  const wrong: string[] = [];
  if (turns.some(({ index }, i) => index !== i)) wrong.push(`${agent.rollout}: turns are missing`);
  const said = turns.map(({ completion }) => renderer.parse(completion).content.trim());
  if (JSON.stringify(said) !== JSON.stringify(agent.heard))
    wrong.push(`${agent.rollout}: turns are not what was heard`);
  for (const { index, fidelity, versions } of turns) {
    if (fidelity !== 'exact') wrong.push(`${agent.rollout}: turn ${index} is ${fidelity}`);
    if (versions.some((version, i) => i > 0 && version < (versions[i - 1] as number))) {
      wrong.push(`${agent.rollout}: turn ${index} goes back to an old version`);
    }
  }
  return wrong;
}

/** Each token's log-probability, recomputed under the weights of the version that it says, must be the same to the bit. */
async function wrongVersions(
  engine: EngineHost,
  turns: readonly RecordedTurn[],
  updates: number,
  folder: string,
): Promise<string[]> {
  const wrong: string[] = [];
  for (let version = 0; version <= updates; version++) {
    const of = turns.filter(({ versions }) => versions.includes(version));
    if (of.length === 0) continue;
    await engine.load(weightsOf(folder, version), policyVersion(version), 'fresh');
    for (const turn of of) {
      const scored = await engine.score(pathOf(turn));
      const at = turn.prompt.length - 1;
      const other = turn.versions.findIndex(
        (each, i) => each === version && scored[at + i] !== turn.behaviorLogprobs[i],
      );
      if (other >= 0) wrong.push(`${turn.rollout}: token ${other} of turn ${turn.index} is not of version ${version}`);
    }
  }
  return wrong;
}
