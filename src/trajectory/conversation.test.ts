import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupId, policyVersion, rolloutId, taskId } from '../core/ids.ts';
import type { Message, ToolCall } from '../core/message.ts';
import { trainBpe } from '../tokens/bpe-trainer.ts';
import { compactTemplate } from '../tokens/compact-template.ts';
import { Renderer } from '../tokens/renderer.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { assistantBlock, messageBlocks, toolsBlock } from './canonical.ts';
import { Conversation, type PreparedTurn } from './conversation.ts';
import { decodeRecord, encodeRecord, type RunRecord, type TurnRecord } from './records.ts';
import { mergedSamples, requestSamples } from './samples.ts';
import { pathOf, turnsOf } from './turns.ts';

const addedTokens = ['<|im_start|>', '<|im_end|>'].map((content) => ({ content, special: true }));
const trained = trainBpe(['read the file '.repeat(4)], { vocabSize: 400, addedTokens, eosToken: '<|im_end|>' });
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
const stop = tokenizer.idOf('<|im_end|>') as number;
const renderer = new Renderer(tokenizer, compactTemplate, [stop]);
const rollout = rolloutId(groupId('step/0', 0), 0);

/** Letter by letter, so that sampled ids are not the ones that the tokenizer would choose. */
const sampled = (text: string, stops: boolean): Int32Array =>
  Int32Array.from([...[...text].flatMap((letter) => [...tokenizer.encode(letter)]), ...(stops ? [stop] : [])]);

function record(prepared: PreparedTurn, index: number, completion: Int32Array): TurnRecord {
  const { content, toolCalls } = renderer.parse(completion);
  return {
    type: 'turn',
    rollout,
    index,
    attempt: 0,
    parent: prepared.parent,
    reused: prepared.reused,
    tail: prepared.prompt.slice(prepared.reused),
    completion,
    behaviorLogprobs: Float32Array.from(completion, (id) => -id / 7),
    entropies: Float32Array.from(completion, (id) => id / 3),
    versions: Int32Array.from(completion, (_, i) => Math.floor(i / 3)),
    finishReason: 'stop',
    truncatedBy: null,
    fidelity: 'exact',
    toolCallCount: toolCalls.length,
    retokenizedSampledTokens: prepared.retokenizedSampledTokens,
    break: prepared.break,
    requestKey: prepared.conversationKey,
    tools: prepared.tools,
    messagesReused: prepared.messagesReused,
    messages: prepared.messages,
    reply: assistantBlock(content, toolCalls).key,
    wishes: {},
  };
}

const assistant = (content: string, toolCalls: readonly ToolCall[] = []): Message => ({
  role: 'assistant',
  content,
  toolCalls,
});

describe('the canonical form', () => {
  it('does not see ids, order of keys, spaces in JSON or around a reply', () => {
    const call = (id: string, args: string): ToolCall => ({ id, name: 'read', arguments: args });
    const one = [assistant('yes', [call('a', '{"x": 1, "y": {"b": 2, "a": [1, {"d": 1, "c": 2}]}}')])];
    const two = [assistant(' yes\n', [call('b', '{"y":{"a":[1,{"c":2,"d":1}],"b":2},"x":1}')])];
    expect(messageBlocks(one)).toEqual(messageBlocks(two));
    const answered = (id: string): Message[] => [...one, { role: 'tool', toolCallId: id, content: 'z' }];
    expect(messageBlocks(answered('a'))).not.toEqual(messageBlocks(answered('b')));
  });

  it('sees content, names, broken arguments and tools', () => {
    const keys = [
      assistant('yes'),
      assistant('no'),
      assistant('', [{ id: '', name: 'read', arguments: '{"a": 1' }]),
      assistant('', [{ id: '', name: 'read', arguments: '{"a": 2' }]),
      assistant('', [{ id: '', name: 'edit', arguments: '{"a": 2' }]),
      { role: 'user' as const, content: 'yes' },
      { role: 'system' as const, content: 'yes' },
    ].map((message) => messageBlocks([message])[0]?.key);
    const tool = { name: 'read', description: '', parameters: {} };
    keys.push(toolsBlock([]).key, toolsBlock([tool]).key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

/** What an agent may do next: go on from some turn, ask the same again, or send something else. */
const step = fc.record({
  from: fc.nat({ max: 20 }),
  move: fc.constantFrom(
    'extend' as const,
    'extend' as const,
    'extend' as const,
    'again' as const,
    'rewrite' as const,
    'new' as const,
  ),
  says: fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('<')),
  hears: fc.array(
    fc.string({ maxLength: 12 }).filter((text) => !text.includes('<')),
    { minLength: 1, maxLength: 2 },
  ),
  stops: fc.boolean(),
});

describe('a conversation', () => {
  it('gives back every prompt from its records, and reuses what an agent did not change', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const live = new Conversation(renderer, []);
        const records: TurnRecord[] = [];
        const prompts: Int32Array[] = [];
        const histories: Message[][] = [];
        for (const { from, move, says, hears, stops } of steps) {
          const base = from % Math.max(1, records.length);
          const before = histories[base] ?? [];
          const users = hears.map((content): Message => ({ role: 'user', content }));
          const changed = before.map((message, i) => (i === before.length - 1 ? assistant('other words') : message));
          const request = {
            extend: [...before, ...users],
            again: before.length === 0 ? users : before.slice(0, -1),
            rewrite: [...changed, ...users],
            new: [{ role: 'user' as const, content: `new ${records.length}` }, ...users],
          }[move];
          const prepared = live.prepare(request, []);
          const rebuilt = new Conversation(
            renderer,
            records.map((turn) => decoded(turn)),
          );
          expect(rebuilt.prepare(request, [])).toEqual(prepared);
          if (move === 'extend' && records.length > 0) expect(prepared.retokenizedSampledTokens).toBe(0);
          const turn = record(prepared, records.length, sampled(says, stops));
          prompts.push(prepared.prompt);
          records.push(turn);
          live.add(turn);
          histories.push([...request, assistant(renderer.parse(turn.completion).content)]);
        }
        const turns = turnsOf(records.map(decoded));
        expect(turns.map((turn) => turn.prompt)).toEqual(prompts);
        const total = turns.reduce((sum, turn) => sum + turn.completion.length, 0);
        for (const samples of [requestSamples(turns), mergedSamples(turns)]) {
          const masked = samples.reduce((sum, sample) => sum + sample.lossMask.reduce((a, b) => a + b, 0), 0);
          expect(masked).toBe(total);
          for (const sample of samples) {
            for (const [i, mask] of sample.lossMask.entries()) if (mask === 0) expect(sample.versions[i]).toBe(-1);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('leaves a reply as it was sampled behind other tools and behind other words, and counts one that was changed', () => {
    const tool = { name: 'read', description: '', parameters: {} };
    const user = (content: string): Message => ({ role: 'user', content });
    const live = new Conversation(renderer, []);
    const history: Message[] = [user('read')];
    const replies = ['same words', 'same words', 'the file'].map((text, index) => {
      const turn = record(live.prepare(history, [tool]), index, sampled(text, index !== 1));
      live.add(turn);
      history.push(assistant(text), user(`more ${index}`));
      return turn.completion;
    });
    const [first, , last] = replies as [Int32Array, Int32Array, Int32Array];
    const partsOf = (...parts: readonly (Int32Array | readonly Message[])[]): number[] => {
      let stopped: boolean | null = null;
      return parts.flatMap((part) => {
        if (part instanceof Int32Array) stopped = renderer.stopped(part);
        if (part instanceof Int32Array) return [...part];
        return [...(stopped === null ? renderer.prompt(part, []) : renderer.tail(part, stopped))];
      });
    };

    const bare = live.prepare(history, []);
    const between = replies.flatMap((reply, i) => [reply, [user(`more ${i}`)]]);
    expect([...bare.prompt]).toEqual(partsOf([user('read')], ...between));
    expect(bare).toMatchObject({ retokenizedSampledTokens: 0, break: { cause: 'tools-changed' } });

    const summary = live.prepare([user('what was'), assistant('the file'), user('go on')], [tool]);
    expect(summary).toMatchObject({ retokenizedSampledTokens: 0, break: { cause: 'new-root' } });
    expect([...summary.prompt].join()).toContain([...last].join());

    const changed = history.map((message, i) => (i === 1 ? assistant('other words') : message));
    expect(live.prepare(changed, []).retokenizedSampledTokens).toBe(first.length);
    expect(live.prepare(changed, [tool])).toMatchObject({
      retokenizedSampledTokens: first.length,
      break: { cause: 'history-rewritten' },
    });
    const shortened = live.prepare([...history.slice(0, 5), user('sum it up')], [tool]);
    expect(shortened).toMatchObject({ retokenizedSampledTokens: 0, break: { cause: 'fork' } });
  });

  it('does not take a turn whose parent is not recorded', () => {
    const live = new Conversation(renderer, []);
    const first = record(live.prepare([{ role: 'user', content: 'read' }], []), 0, sampled('the file', true));
    expect(() => live.add({ ...first, index: 1, parent: 0, reused: 3 })).toThrow('which is not recorded before it');
  });

  it('writes what is new, however long it gets', () => {
    const live = new Conversation(renderer, []);
    const messages: Message[] = [{ role: 'user', content: 'read '.repeat(100) }];
    const sizes: number[] = [];
    const turns: TurnRecord[] = [];
    for (let index = 0; index < 40; index++) {
      const turn = record(live.prepare(messages, []), index, sampled('the file', true));
      live.add(turn);
      turns.push(turn);
      sizes.push(encodeRecord(turn).payload.length);
      messages.push(assistant('the file'), { role: 'user', content: `more ${index}` });
    }
    expect(Math.max(...sizes.slice(1)) - Math.min(...sizes.slice(1))).toBeLessThan(40);
    const [merged] = mergedSamples(turnsOf(turns));
    expect(merged?.ids).toEqual(pathOf(turnsOf(turns).at(-1)!));
    expect(merged?.turns).toHaveLength(40);
  });
});

const decoded = (turn: TurnRecord): TurnRecord => {
  const { kind, payload } = encodeRecord(turn);
  const back = decodeRecord(kind, payload);
  expect(back).toEqual(turn);
  return back as TurnRecord;
};

describe('records', () => {
  it('come back as they were written', () => {
    const records: readonly RunRecord[] = [
      {
        type: 'outcome',
        rollout,
        outcome: { status: 'failed', boundary: 'provider', message: 'é' },
        task: taskId('t/1'),
        facts: null,
        attempts: 2,
        seconds: 0.5,
      },
      { type: 'version', version: policyVersion(3), sha256: 'ab', checkpoint: null },
      {
        type: 'manifest',
        step: 1,
        version: policyVersion(2),
        groups: [{ group: groupId('step/1', 0), task: 4, rollouts: [rollout], rewards: [0.1] }],
        details: { lr: 1e-3 },
      },
      { type: 'message', key: 'k', body: '{}' },
      { type: 'note', note: { a: [1, null] } },
    ];
    for (const each of records) {
      const { kind, payload } = encodeRecord(each);
      expect(decodeRecord(kind, payload)).toEqual(each);
    }
  });
});
