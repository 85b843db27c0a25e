import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../core/message.ts';
import { Random, seedOf } from '../core/random.ts';
import type { Task } from '../core/task.ts';
import { wasmLimits, wasmSandboxes } from '../sandbox/sandboxes/wasm.ts';
import { named } from '../tasks/seedlings/names.ts';
import { growSeedling, pathOfPart, seedlingOf } from '../tasks/seedlings/seedlings.ts';
import { heldOutOperators, mutantsOfCode } from '../tasks/seedlings/split.ts';
import { type Demonstration, demonstrate } from './demonstrate.ts';

const sandboxes = wasmSandboxes({ threads: 2 });
afterAll(() => sandboxes.close());
const limits = { maxTurns: 10, sandbox: wasmLimits };

type Assistant = Extract<Message, { role: 'assistant' }>;
const assistants = ({ messages }: Demonstration): Assistant[] =>
  messages.filter((message) => message.role === 'assistant');
const calls = (demonstration: Demonstration) => assistants(demonstration).flatMap(({ toolCalls }) => toolCalls);
const playing = (index: number): Promise<Demonstration> =>
  demonstrate(growSeedling('train', index).task, new Random(seedOf('demonstration', index)), sandboxes, limits);

describe('demonstrations', () => {
  let all: Demonstration[] = [];
  beforeAll(async () => {
    all = await Promise.all(Array.from({ length: 300 }, (_, index) => playing(index)));
  });
  const mean = (of: (demonstration: Demonstration) => number): number =>
    all.reduce((sum, each) => sum + of(each), 0) / all.length;

  it('solve about half of the tasks, in more turns than a lucky guess', () => {
    expect(mean(({ solved }) => Number(solved))).toBeGreaterThan(0.42);
    expect(mean(({ solved }) => Number(solved))).toBeLessThan(0.65);
    expect(mean((each) => assistants(each).length)).toBeGreaterThan(4);
    expect(mean((each) => assistants(each).length)).toBeLessThan(6.8);
    const solvedTurns = all.filter(({ solved }) => solved).map((each) => assistants(each).length);
    expect(solvedTurns.reduce((a, b) => a + b) / solvedTurns.length).toBeGreaterThan(3);
  });

  it('show every skill: tests first, reading, several calls in a turn, slips, endings', () => {
    const turns = mean((each) => assistants(each).length);
    const testsFirst = mean((each) => Number(calls(each)[0]?.name === 'test'));
    expect(testsFirst).toBeGreaterThan(0.4);
    expect(testsFirst).toBeLessThan(0.6);
    expect(
      mean((each) => assistants(each).filter(({ toolCalls }) => toolCalls.length > 1).length) / turns,
    ).toBeGreaterThan(0.05);
    expect(mean(({ errorTurns }) => errorTurns.size) / turns).toBeGreaterThan(0.01);
    expect(mean(({ errorTurns }) => errorTurns.size) / turns).toBeLessThan(0.04);
    expect(new Set(all.flatMap(calls).map(({ name }) => name))).toEqual(
      new Set(['list', 'read', 'edit', 'test', 'finish']),
    );
    for (const each of all) expect(calls(each).at(-1)?.name).toBe('finish');
  });

  it('mark exactly the turns whose call a tool refused', () => {
    for (const { messages, errorTurns } of all) {
      const refused = new Set(
        messages.flatMap((message) =>
          message.role === 'tool' && message.content.startsWith('error:') ? [message.toolCallId] : [],
        ),
      );
      const marked = messages.flatMap((message, index) =>
        message.role === 'assistant' && message.toolCalls.some(({ id }) => refused.has(id)) ? [index] : [],
      );
      expect([...errorTurns]).toEqual(marked);
    }
  });

  it('answer every call once, under an id of its own, and write JSON as templates do', () => {
    for (const each of all) {
      const ids = calls(each).map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const answered = each.messages.flatMap((message) => (message.role === 'tool' ? [message.toolCallId] : []));
      expect(answered).toEqual(ids.slice(0, -1));
      for (const { arguments: text } of calls(each)) {
        expect(text).toMatch(/^\{("path": "[^"]*"(, "line": \d+, "new": "[^"\\]*")?)?\}$/);
        expect(() => JSON.parse(text)).not.toThrow();
      }
    }
  });

  it('never show a line that a held-out pair of fragment and operator makes', async () => {
    for (const [index, each] of all.entries()) {
      const forbidden = heldOutLines(growSeedling('train', index).task);
      for (const call of calls(each).filter(({ name }) => name === 'edit')) {
        const { path, new: text } = JSON.parse(call.arguments) as { path: string; new: string };
        expect(forbidden.has(`${path} ${text}`), `${index} ${path} ${text}`).toBe(false);
      }
    }
  });

  it('are the same for the same task and seed', async () => {
    for (const index of [0, 3, 11]) expect(await playing(index)).toEqual(all[index]);
  });

  it('refuse a task that is no seedling', async () => {
    const task = { ...growSeedling('train', 0).task, id: 'swe/1' as Task['id'] };
    await expect(demonstrate(task, new Random(1n), sandboxes, limits)).rejects.toThrow("'swe/1' is no seedling");
  });
});

/** `path text` of all lines that held-out operators make of a task's right code. */
function heldOutLines(task: Task): Set<string> {
  const seedling = seedlingOf(task);
  const lines = new Set<string>();
  for (const [part, names] of seedling.names) {
    for (const { operator, line, code } of mutantsOfCode(part.form.code)) {
      if (!heldOutOperators(part.fragment).has(operator)) continue;
      lines.add(`${pathOfPart(seedling, part)} ${named(code.split('\n')[line] as string, part, names)}`);
    }
  }
  return lines;
}
