/**
 * Bodies that are well-formed and enormous in one dimension: what takes time or memory by more than its size shows here.
 * Each fills most of the body limit of proxy-child.ts.
 */
import type { PartName } from './good-requests.ts';

export interface HeavyRequest {
  readonly what: string;
  readonly part: PartName;
  readonly body: string;
}

const many = (count: number, text: string | ((i: number) => string)): string =>
  Array.from({ length: count }, (_, i) => (typeof text === 'string' ? text : text(i))).join(',');
const ofChat = (messages: string, more = ''): string => `{"model":"seedling","messages":[${messages}]${more}}`;
const ofMessages = (messages: string, more = ''): string =>
  `{"model":"seedling","max_tokens":9,"messages":[${messages}]${more}}`;
const ofResponses = (input: string, more = ''): string => `{"model":"seedling","input":[${input}]${more}}`;

const user = '{"role":"user","content":"a"}';
const letters = 3_500_000;
const one = (text: string): string => `{"role":"user","content":"${text}"}`;
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

export function heavyRequests(): HeavyRequest[] {
  const chatCall = (i: number): string => `{"id":"c${i}","type":"function","function":{"name":"f","arguments":"{}"}}`;
  const texts = { a: 'a', 'white space': ' ', 'line breaks': '\\n', emoji: '😀', 'open tags': '<', words: 'ab ' };
  const chat: Record<string, string> = {
    'messages of one letter': ofChat(many(100_000, user)),
    'parts of a message': ofChat(`{"role":"user","content":[${many(90_000, '{"type":"text","text":"a"}')}]}`),
    'calls and answers': ofChat(
      `{"role":"assistant","content":"","tool_calls":[${many(20_000, chatCall)}]},` +
        many(20_000, (i) => `{"role":"tool","tool_call_id":"c${19_999 - i}","content":"a"}`),
    ),
    tools: ofChat(user, `,"tools":[${many(40_000, (i) => `{"type":"function","function":{"name":"f${i}"}}`)}]`),
    'deep arguments': ofChat(
      `${user},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"${deep(1_000_000)}"}}]},{"role":"tool","tool_call_id":"c","content":""}`,
    ),
    'arguments as deep as templates take': ofChat(
      `${user},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"${deep(5000)}"}}]},{"role":"tool","tool_call_id":"c","content":""}`,
    ),
    'a body of arrays': deep(1_500_000),
    keys: `{${many(300_000, (i) => `"k${i}":1`)}}`,
    metadata: ofChat(user, `,"metadata":{${many(200_000, (i) => `"k${i}":1`)}}`),
    'the name of a model': ofChat(user).replace('seedling', 'm'.repeat(letters)),
    'a role': `{"model":"seedling","messages":[{"role":"${'r'.repeat(letters)}"}]}`,
    'digits of a number': ofChat(user, `,"seed":${'9'.repeat(letters)}`),
    'stop strings of one letter': ofChat(user, `,"stop":[${many(400_000, '"a"')}]`),
  };
  for (const [name, text] of Object.entries(texts)) {
    chat[`a text of ${name}`] = ofChat(one(text.repeat(Math.floor(letters / Buffer.byteLength(text)))));
    // As long as it may be before it is known not to fit: all of it is tokenized.
    chat[`a text of ${name} that may fit`] = ofChat(one(text.repeat(Math.floor(200_000 / [...text].length))));
  }
  const messages: Record<string, string> = {
    'messages of one letter': ofMessages(many(100_000, user)),
    'blocks of a message': ofMessages(`{"role":"user","content":[${many(90_000, '{"type":"text","text":"a"}')}]}`),
    'replies in a row': ofMessages(`${user},${many(90_000, '{"role":"assistant","content":"a"}')},${user}`),
    'stop strings': ofMessages(user, `,"stop_sequences":[${many(8192, (i) => `"${i}${'s'.repeat(300)}"`)}]`),
    'tools and references': ofMessages(
      `{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[${many(40_000, '{"type":"tool_reference","tool_name":"t"}')}]}]}`,
      ',"tools":[{"name":"t","input_schema":{}}]',
    ),
  };
  const responses: Record<string, string> = {
    'messages of one letter': ofResponses(many(100_000, user)),
    'answers, then calls': ofResponses(
      `${many(20_000, (i) => `{"type":"function_call_output","call_id":"call_0_${i}","output":""}`)},` +
        many(20_000, (i) => `{"type":"function_call","call_id":"call_0_${i}","name":"f","arguments":"{}"}`),
    ),
    'calls in a row': ofResponses(
      many(40_000, (i) => `{"type":"function_call","call_id":"call_0_${i}","name":"f","arguments":"{}"}`),
    ),
    'tools of items': ofResponses(
      `${user},{"type":"additional_tools","tools":[${many(200_000, '{"type":"web_search"}')}]}`,
    ),
    reasoning: ofResponses(`${many(150_000, '{"type":"reasoning"}')},${user}`),
    namespaces: ofResponses(user, `,"tools":[${many(60_000, '{"type":"namespace","name":"n","tools":[]}')}]`),
  };
  const named = (part: PartName, bodies: Record<string, string>): HeavyRequest[] =>
    Object.entries(bodies).map(([what, body]) => ({ what, part, body }));
  return [
    ...named('chat', chat),
    ...named('messages', messages),
    ...named('count', messages),
    ...named('responses', responses),
    ...named('sessions', { 'a task': `{"task":"${'t'.repeat(letters)}"}`, 'a body of arrays': deep(500_000) }),
  ];
}
