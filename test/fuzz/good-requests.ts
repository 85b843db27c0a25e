/** Requests that are answered with 200, each using much of its dialect: what fuzzing begins with. */

const schema = { type: 'object', properties: { path: { type: 'string', default: 'a.js' } }, required: ['path'] };

const chat = [
  { model: 'seedling', messages: [{ role: 'user', content: 'Fix total.' }] },
  {
    model: 'seedling',
    messages: [
      { role: 'system', content: 'You fix.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Fix' },
          { type: 'text', text: 'total.' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_0_0', type: 'function', function: { name: 'read', arguments: '{"path": "a.js"}' } }],
      },
      { role: 'tool', tool_call_id: 'call_0_0', content: '1: let a;\n' },
    ],
    tools: [{ type: 'function', function: { name: 'read', description: 'Reads.', parameters: schema } }],
    tool_choice: 'auto',
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.5,
    max_tokens: 40,
    stop: ['\n\n', 'END'],
    metadata: { label: 'x' },
    n: 1,
  },
];

const messages = [
  { model: 'seedling', max_tokens: 40, messages: [{ role: 'user', content: 'Fix total.' }] },
  {
    model: 'seedling',
    max_tokens: 40,
    stream: true,
    system: [{ type: 'text', text: 'You fix.', cache_control: { type: 'ephemeral' } }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'Fix total.' }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm.', signature: 's' },
          { type: 'text', text: 'I read.' },
          { type: 'tool_use', id: 'toolu_call_0_0', name: 'read', input: { path: 'a.js' } },
        ],
      },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'toolu_call_0_0',
            is_error: true,
            content: [{ type: 'text', text: 'no such file' }],
          },
        ],
      },
    ],
    tools: [{ name: 'read', description: 'Reads.', input_schema: schema }],
    tool_choice: { type: 'auto' },
    thinking: { type: 'enabled', budget_tokens: 1024 },
    stop_sequences: ['END'],
    metadata: { user_id: 'x' },
    temperature: 1,
  },
];

const responses = [
  { model: 'seedling', input: 'Fix total.' },
  {
    model: 'seedling',
    instructions: 'You fix.',
    input: [
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Fix total.' }] },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      { type: 'function_call', call_id: 'call_0_0', name: 'read', arguments: '{"path": "a.js"}' },
      { type: 'function_call_output', call_id: 'call_0_0', output: '1: let a;' },
      { type: 'custom_tool_call', call_id: 'call_1_0', name: 'patch', input: '*** Begin' },
      { type: 'custom_tool_call_output', call_id: 'call_1_0', output: [{ type: 'input_image', image_url: 'x' }] },
      { type: 'additional_tools', tools: [{ type: 'function', name: 'more', parameters: schema }] },
    ],
    tools: [
      { type: 'function', name: 'read', description: 'Reads.', parameters: schema, strict: false },
      { type: 'custom', name: 'patch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } },
      {
        type: 'namespace',
        name: 'web',
        description: '',
        tools: [{ type: 'function', name: 'get', parameters: schema }],
      },
      { type: 'web_search' },
    ],
    tool_choice: 'auto',
    stream: true,
    store: true,
    max_output_tokens: 40,
    reasoning: { effort: 'low', summary: 'auto' },
    text: { verbosity: 'low', format: { type: 'text' } },
    include: ['reasoning.encrypted_content'],
    metadata: { label: 'x' },
  },
];

const sessions = [{ task: 't', group: 'g', temperature: 1, maxTokensPerTurn: 10 }, {}];
const finish = [{ reward: 0.5 }];

/** Parts of the API: where requests go, what they hold, and in which form errors come back. */
export const parts = {
  chat: { path: '/chat/completions', bodies: chat, errors: 'openai', samples: true },
  messages: { path: '/messages', bodies: messages, errors: 'anthropic', samples: true },
  count: { path: '/messages/count_tokens', bodies: messages, errors: 'anthropic', samples: false },
  responses: { path: '/responses', bodies: responses, errors: 'openai', samples: true },
  models: { path: '/models', bodies: [], errors: 'openai', samples: false },
  sessions: { path: '/espalier/sessions', bodies: sessions, errors: 'openai', samples: false },
  finish: { path: '/espalier/sessions/x/finish', bodies: finish, errors: 'openai', samples: false },
  metrics: { path: '/espalier/metrics', bodies: [], errors: 'openai', samples: false },
} as const;

export type PartName = keyof typeof parts;
