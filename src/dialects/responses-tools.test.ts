import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from './refusal.ts';
import { callItem, callOf, toolsOf } from './responses-tools.ts';

const offered = toolsOf([
  { type: 'function', name: 'read', description: null, parameters: { type: 'object' }, strict: false },
  {
    type: 'custom',
    name: 'apply_patch',
    description: 'Edits files.',
    format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
  },
  {
    type: 'namespace',
    name: 'web',
    description: 'The web.',
    tools: [
      { type: 'function', name: 'get', description: 'Gets.' },
      { type: 'custom', name: 'post' },
    ],
  },
  { type: 'web_search', external_web_access: false },
]);

const meaning = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

describe('tools of a request', () => {
  it('are offered as functions, those of a namespace under both names, those of the server not at all', () => {
    expect(offered.definitions.map(({ name, description }) => [name, description])).toEqual([
      ['read', ''],
      ['apply_patch', 'Edits files.\nThe input follows this lark grammar:\nstart: "x"'],
      ['web.get', 'The web.\nGets.'],
      ['web.post', 'The web.'],
    ]);
    expect(offered.definitions[1]?.parameters).toMatchObject({ required: ['input'] });
    expect(offered.hosted).toEqual([{ type: 'web_search', external_web_access: false }]);
  });

  it.each(['file_search', 'code_interpreter', 'mcp', 'computer', 'local_shell', 'shell', 'nonsense', undefined])(
    'are refused when they are %s, which nobody here runs',
    (type) => {
      expect(() => toolsOf([{ type, name: 'x' }])).toThrow(Refusal);
    },
  );
});

describe('a call', () => {
  it('comes back as it was sampled, whatever its tool and its arguments', () => {
    const call = fc.record({
      id: fc.constantFrom('call_0_0', 'call_12_3'),
      name: fc.constantFrom('read', 'apply_patch', 'web.get', 'web.post', 'no.such', 'unknown'),
      arguments: fc.oneof(
        fc.string(),
        fc.json(),
        fc.string().map((input) => JSON.stringify({ input })),
        fc.constant('{ "input" : "a",  "input": "b" }'),
        fc.constant('{"input": "a", "more": 1}'),
        fc.constant('{"input": "*** Begin'),
      ),
    });
    fc.assert(
      fc.property(call, (said) => {
        const wire = JSON.parse(JSON.stringify(callItem(said, offered.names)));
        const back = callOf(wire, 'input[0]');
        expect({ ...back, arguments: meaning(back.arguments) }).toEqual({
          ...said,
          arguments: meaning(said.arguments),
        });
      }),
    );
  });

  it('of a custom tool carries its one string as it is', () => {
    const item = callItem({ id: 'call_0_0', name: 'web.post', arguments: '{"input": "a\\nb"}' }, offered.names);
    expect(item).toEqual({
      type: 'custom_tool_call',
      call_id: 'call_0_0',
      namespace: 'web',
      name: 'post',
      input: 'a\nb',
    });
  });
});
