/**
 * A small agent: the stock `openai` client, three tools over files in memory, a loop. It knows nothing of Espalier; base
 * URL, key and model name come from the environment, as examples/own-agent.ts prints them.
 *
 *   node examples/openai-agent.ts
 */
import { OpenAI } from 'openai';
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions';

const files: Record<string, string[]> = {
  'src/fee.js': [
    'exports.WriteFarm = class {',
    '  kept = 8;',
    '  track(horse) { this.kept += horse; }',
    '  show() { return Math.max(this.kept, 34); }',
    '};',
  ],
  'src/house.js': [
    "const fee = require('./fee.js');",
    'exports.openPond = (bags) => {',
    '  const train = new fee.WriteFarm();',
    '  for (const item of bags) train.track(item * 4);',
    '  return train.show();',
    '};',
  ],
};
const statement = `Repair the code. It must do:
src/fee.js WriteFarm: starts at 8, track(horse) adds, show() gives at most 34
src/house.js openPond(bags): show() of WriteFarm after track of each of bags times 4`;

const define = (name: string, properties: Record<string, { readonly type: string }>): ChatCompletionTool => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties, required: Object.keys(properties) } },
});
const [text, integer] = [{ type: 'string' }, { type: 'integer' }];
const tools = [
  define('read', { path: text }),
  define('edit', { path: text, line: integer, new: text }),
  define('finish', {}),
];

/** Reads OPENAI_BASE_URL and OPENAI_API_KEY. */
const client = new OpenAI();
const model = process.env['OPENAI_MODEL'] ?? 'policy';
const messages: ChatCompletionMessageParam[] = [
  { role: 'system', content: 'Fix the bug.' },
  { role: 'user', content: statement },
];

for (let turn = 0, finished = false; turn < 8 && !finished; turn++) {
  const reply = (await client.chat.completions.create({ model, messages, tools })).choices[0]?.message;
  if (reply === undefined) break;
  messages.push(reply);
  const calls = (reply.tool_calls ?? []).filter((call) => call.type === 'function');
  console.log(`turn ${turn}: ${reply.content ?? ''}${calls.map(({ function: it }) => `${it.name} ${it.arguments}`)}`);
  for (const call of calls) messages.push({ role: 'tool', tool_call_id: call.id, content: answer(call.function) });
  finished = calls.length === 0 || calls.some((call) => call.function.name === 'finish');
}
console.log(files['src/fee.js']?.join('\n'));

function answer({ name, arguments: json }: { readonly name: string; readonly arguments: string }): string {
  try {
    const given = JSON.parse(json) as { readonly path?: string; readonly line?: number; readonly new?: string };
    if (name === 'finish') return 'ok';
    const path = given.path ?? '';
    const lines = files[path];
    if (lines === undefined) return `error: no file ${JSON.stringify(path)}`;
    if (name === 'read') return [path, ...lines.map((line, at) => `${at + 1} ${line}`)].join('\n');
    const { line = 0, new: replacement = '' } = given;
    if (name !== 'edit' || lines[line - 1] === undefined) return 'error: there is no such tool or line';
    lines[line - 1] = replacement;
    return `${line} ${replacement}`;
  } catch {
    return 'error: the arguments are not JSON';
  }
}
