/** Stop strings through the real proxy: cut wherever they fall, recorded as sampled, and the next turn is exact. */
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';
import {
  clientOf,
  LetterSampler,
  type Rig,
  removeDirectory,
  sessionOptions,
  startRig,
  tokenizer,
} from './proxy-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const said = ['One, two; three and much more that nobody asked for.', 'Done.'];

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

describe.each([
  ['JSON', false],
  ['SSE', true],
])('a stop string over %s', (_, stream) => {
  it('ends the completion before it, and the recorded ids with the token that completes it', async () => {
    rig = await startRig(new LetterSampler((turn) => said[turn] ?? 'More.'));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    const client = clientOf(session);
    const ask = async (messages: { role: 'user' | 'assistant'; content: string }[], stop?: string[]) => {
      const body = { model: 'seedling', messages, ...(stop && { stop }) };
      const { choices } = stream
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.create(body);
      return choices[0]!;
    };
    const first = await ask([{ role: 'user', content: 'Count.' }], [' three', 'five']);
    expect(first.message.content).toBe('One, two;');
    expect(first.finish_reason).toBe('stop');
    const second = await ask([
      { role: 'user', content: 'Count.' },
      { role: 'assistant', content: 'One, two;' },
      { role: 'user', content: 'Go on.' },
    ]);
    expect(second.message.content).toBe('Done.');

    const records = rig.journal.index.turns(rollout);
    const turns = turnsOf(records);
    expect(tokenizer.decode(turns[0]!.completion)).toBe('One, two; three');
    expect(records.map(({ fidelity, break: broken }) => [fidelity, broken])).toEqual([
      ['exact', null],
      ['exact', null],
    ]);
    expect(records[0]?.wishes).toEqual({ stop: [' three', 'five'] });
    expect(tokenizer.decode(turns[1]!.prompt)).toContain('One, two; three<|im_end|>');
  });

  it('is found across a pause for new weights, which the agent does not notice', async () => {
    const sampler = new LetterSampler((turn) => said[turn] ?? 'More.');
    // In the middle of ` three`: letters are tokens, and the sampler knows from the prompt where it was.
    sampler.pauseAfter = 12;
    rig = await startRig(sampler);
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    const body = { model: 'seedling', messages: [{ role: 'user' as const, content: 'Count.' }], stop: ' three' };
    const client = clientOf(session);
    const reply = stream
      ? await client.chat.completions.stream(body).finalMessage()
      : (await client.chat.completions.create(body)).choices[0]!.message;
    expect(reply.content).toBe('One, two;');
    const [record] = rig.journal.index.turns(rollout);
    expect(tokenizer.decode(record!.completion)).toBe('One, two; three');
    expect([...new Set(record!.versions)]).toEqual([0, 1]);
  });

  it('that never comes changes nothing', async () => {
    rig = await startRig(new LetterSampler((turn) => said[turn] ?? 'More.'));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    const body = { model: 'seedling', messages: [{ role: 'user' as const, content: 'Count.' }], stop: 'never' };
    const client = clientOf(session);
    const reply = stream
      ? await client.chat.completions.stream(body).finalMessage()
      : (await client.chat.completions.create(body)).choices[0]!.message;
    expect(reply.content).toBe(said[0]);
  });
});

it('an empty stop string is refused', async () => {
  rig = await startRig(new LetterSampler(() => 'x'));
  const session = await rig.proxy.sessions.open(rollout, sessionOptions);
  const body = { model: 'seedling', messages: [{ role: 'user' as const, content: 'Count.' }], stop: '' };
  await expect(clientOf(session).chat.completions.create(body)).rejects.toMatchObject({ status: 400, param: 'stop' });
});
