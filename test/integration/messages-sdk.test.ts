/** The stock client of the messages API against the real proxy. */
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { LetterSampler, type Rig, removeDirectory, sessionOptions, startRig } from './proxy-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const read = (path: string): string => `<tool_call>{"name": "Read", "arguments": {"path": "${path}"}}</tool_call>`;
const script = (turn: number): string =>
  [`I read both.\n${read('a.js')}${read('b.js')}`, read('c.js'), 'Done é 漢 😀.'][turn] ?? 'More.';
const tools: Anthropic.Tool[] = [{ name: 'Read', input_schema: { type: 'object' } }];

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

async function opened() {
  rig = await startRig(new LetterSampler(script));
  const session = await rig.proxy.sessions.open(rollout, sessionOptions);
  // This client adds /v1 itself.
  const client = new Anthropic({
    baseURL: session.baseUrl.replace(/\/v1$/, ''),
    apiKey: session.apiKey,
    maxRetries: 0,
  });
  return { session, client };
}

describe.each([
  ['JSON', false],
  ['SSE', true],
])('three turns of the stock Anthropic client over %s', (_, stream) => {
  it('are exact, calls and results included', async () => {
    const { session, client } = await opened();
    const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Fix total.' }];
    const reasons: unknown[] = [];
    for (let turn = 0; turn < 5; turn++) {
      const body = { model: 'seedling', max_tokens: 1000, messages, tools };
      const reply = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
      reasons.push(reply.stop_reason);
      messages.push({ role: 'assistant', content: reply.content });
      const calls = reply.content.filter((block) => block.type === 'tool_use');
      if (calls.length === 0) break;
      messages.push({
        role: 'user',
        content: calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: `1: ${turn}` })),
      });
    }
    expect(reasons).toEqual(['tool_use', 'tool_use', 'end_turn']);
    expect(messages.at(-1)?.content).toMatchObject([{ type: 'text', text: 'Done é 漢 😀.' }]);
    expect(await session.close()).toMatchObject({ turns: 3, exactTurns: 3, toolCalls: 3, retokenizedSampledTokens: 0 });
  });
});

it('counts tokens, and says in its own words what is wrong', async () => {
  const { client } = await opened();
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Fix total.' }];
  const { input_tokens: count } = await client.messages.countTokens({ model: 'seedling', messages });
  expect(count).toBeGreaterThan(3);
  await expect(client.messages.create({ model: 'other', max_tokens: 9, messages })).rejects.toThrow(
    Anthropic.NotFoundError,
  );
});
