/**
 * The scripted model in a process of its own, behind the protocol of real engines: a process that can be killed in the
 * middle of a reply.
 *
 * Its `model` is a file (ScriptFile). Not here: training, weights.
 */
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { policyVersion } from '../../src/core/ids.ts';
import type { GenerateEvent, GenerateRequest, LocalEngine, Sampler } from '../../src/engine/engine.ts';
import { serveEngine } from '../../src/host/serve-engine.ts';
import { tokenizer } from '../integration/proxy-fixture.ts';
import type { AgentKind, ScriptedReply } from './agents.ts';
import { repliesIn, scriptedModel } from './scripted-task.ts';

export interface ScriptFile {
  /** Of every agent, or those of a file in kinds/ for its working folder. */
  readonly script: readonly ScriptedReply[] | { readonly kind: string; readonly work: string };
  /** Conversations with so many replies get one piece of the next one, and then nothing more; null: none do. */
  readonly holdAfter: number | null;
}

const absent: Pick<
  LocalEngine,
  'score' | 'train' | 'publish' | 'save' | 'load' | 'pause' | 'resume' | 'statistics' | 'snapshot'
> = Object.fromEntries(
  ['score', 'train', 'publish', 'save', 'load', 'pause', 'resume', 'statistics', 'snapshot'].map((name) => [
    name,
    () => Promise.reject(new Error(`a script has no ${name}`)),
  ]),
) as never;

const parent = new Socket({ fd: 3, readable: true, writable: true });
parent.on('close', () => process.exit(0));
await serveEngine(parent, async ({ model, version }) => {
  const { script, holdAfter } = JSON.parse(await readFile(model, 'utf8')) as ScriptFile;
  const sampler = await modelOf(script);
  const inVersion = policyVersion(version ?? 0);
  return {
    contextLength: sampler.contextLength,
    vocabSize: sampler.vocabSize,
    version: inVersion,
    generate: (request: GenerateRequest) => held(sampler, request, holdAfter, inVersion),
    close: () => Promise.resolve(),
    ...absent,
  };
});
process.exit(0);

async function modelOf(script: ScriptFile['script']): Promise<Sampler> {
  if (!('kind' in script)) return scriptedModel(script);
  const { kind }: { readonly kind: AgentKind } = await import(`./kinds/${script.kind}.ts`);
  const place = { installed: '', home: '', work: script.work, baseUrl: '', apiKey: '', model: '', task: '' };
  return scriptedModel(kind.replies(place), kind.aside);
}

async function* held(
  sampler: Sampler,
  request: GenerateRequest,
  holdAfter: number | null,
  version: ReturnType<typeof policyVersion>,
): AsyncGenerator<GenerateEvent> {
  const holds = holdAfter !== null && repliesIn(tokenizer.decode(request.ids)) >= holdAfter;
  for await (const event of sampler.generate(request)) {
    yield event.type === 'tokens' ? { ...event, version } : event;
    if (holds) await new Promise(() => undefined);
  }
}
