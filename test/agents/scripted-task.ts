/**
 * The task that every agent is given, and the model that solves it from a script.
 *
 * Not a policy: it says the replies of the script in their order, whatever the tools answer. Text is split into single
 * letters, so that the sampled ids are never those that the tokenizer would choose: what is tokenized again shows.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ScriptedSampler } from '../../src/engine/engines/scripted.ts';
import { stopId, tokenizer } from '../integration/proxy-fixture.ts';
import { run, type ScriptedReply } from './agents.ts';

export const brokenLine = '  return a - b;';
export const mendedLine = '  return a + b;';
export const brokenFile = 'sum.js';
export const command = 'node check.js';
/** What the command prints when the file is mended. */
export const commandOutput = 'all 3 sums are right';
export const lastWords = 'The sums are right now.';
export const task = 'The function in sum.js is wrong: `node check.js` fails. Read it, mend it and run the check.';

const files: Readonly<Record<string, string>> = {
  'package.json': '{ "name": "sums", "version": "1.0.0", "type": "module", "private": true }\n',
  [brokenFile]: `/** Adds two numbers. */\nexport function sum(a, b) {\n${brokenLine}\n}\n`,
  'check.js': `import { sum } from './sum.js';

const cases = [[1, 2, 3], [0, 0, 0], [-4, 9, 5]];
for (const [a, b, total] of cases) {
  if (sum(a, b) !== total) throw new Error(\`sum(\${a}, \${b}) is \${sum(a, b)}\`);
}
console.log(\`all \${cases.length} sums are right\`);
`,
};

/** A git repository of three small files. */
export async function createWork(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const git = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@example.invalid'];
  for (const argv of [
    ['init', '-q', '-b', 'main'],
    ['add', '.'],
    [...git, 'commit', '-q', '-m', 'Add sums'],
  ]) {
    const { code, output } = await run('git', argv, { timeoutMs: 60_000, cwd: folder });
    if (code !== 0) throw new Error(`git ${argv.join(' ')}: ${output}`);
  }
}

/** Whether the file is as the script's edit leaves it, and nothing else changed in it. */
export async function isMended(folder: string): Promise<boolean> {
  const expected = files[brokenFile]?.replace(brokenLine, mendedLine);
  return (await readFile(join(folder, brokenFile), 'utf8')) === expected;
}

/** As a model of the Hermes form writes it. */
export function textOf({ thinking, text, calls }: ScriptedReply): string {
  const called = (calls ?? []).map(
    (call) => `<tool_call>{"name": "${call.tool}", "arguments": ${JSON.stringify(call.arguments)}}</tool_call>`,
  );
  return [thinking === undefined ? '' : `<think>\n${thinking}\n</think>\n\n`, text ?? '', ...called].join('');
}

const assistantOpen = '<|im_start|>assistant\n';
const openIds = tokenizer.encode(assistantOpen);

/** Replies of the model that the conversation of a prompt holds. */
export const repliesIn = (prompt: string): number => prompt.split(assistantOpen).length - 2;

/**
 * Says reply i to a conversation with i replies in it, and `aside`'s words to any other request; a prompt that ends
 * within a reply gets the rest. What is asked beyond the script fails, so that a loop of an agent ends.
 */
export function scriptedModel(
  replies: readonly ScriptedReply[],
  aside: (prompt: string) => string | null = () => null,
): ScriptedSampler {
  return new ScriptedSampler({
    // The largest prompts of agents are some 80 KB, which is as many tokens of this tokenizer at most.
    contextLength: 1 << 20,
    vocabSize: tokenizer.vocabSize,
    complete: (prompt) => {
      const text = tokenizer.decode(prompt);
      const said = repliesIn(text);
      const reply = replies[said];
      const words = aside(text) ?? (reply === undefined ? null : textOf(reply));
      if (words === null) throw new Error(`the script has no reply ${said}`);
      const whole = [...[...words].flatMap((letter) => [...tokenizer.encode(letter)]), stopId];
      return Int32Array.from(whole.slice(prompt.length - prompt.lastIndexOf(openIds[0] as number) - openIds.length));
    },
  });
}
