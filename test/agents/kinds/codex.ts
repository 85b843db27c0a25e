/** Codex: the responses dialect, by a provider of its own in `config.toml`. */
import { join } from 'node:path';
import type { AgentKind } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine, textOf } from '../scripted-task.ts';

/** To a model that it does not know, Codex offers no tool for patches: its shell takes them under this name. */
const patch = [
  "apply_patch <<'PATCH'",
  '*** Begin Patch',
  `*** Update File: ${brokenFile}`,
  '@@',
  `-${brokenLine}`,
  `+${mendedLine}`,
  '*** End Patch',
  'PATCH',
].join('\n');

const dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const question = 'Is there another function that adds? Answer in one line.';

export const kind: AgentKind = {
  name: 'codex',
  packages: { '@openai/codex': '0.169.0' },
  replies: () => [
    {
      thinking: 'Both files first.',
      text: 'I read them.',
      calls: [
        { tool: 'exec_command', arguments: { cmd: `cat ${brokenFile}` } },
        { tool: 'exec_command', arguments: { cmd: 'cat check.js' } },
      ],
    },
    { calls: [{ tool: 'exec_command', arguments: { cmd: patch } }] },
    { calls: [{ tool: 'multi_agent_v1.spawn_agent', arguments: { message: question } }] },
    // Not said: what is said here names the sub-agent, see below.
    {},
    { text: 'Now the check.', calls: [{ tool: 'exec_command', arguments: { cmd: command } }] },
    // An image, of which the model is shown a note.
    { calls: [{ tool: 'exec_command', arguments: { cmd: `echo ${dot} | base64 -d > dot.png` } }] },
    { calls: [{ tool: 'view_image', arguments: { path: 'dot.png' } }] },
    // Arguments that are no JSON object, and a tool that does not exist.
    { calls: [{ tool: 'exec_command', arguments: 'nothing' }] },
    { calls: [{ tool: 'nothing', arguments: {} }] },
    { text: lastWords },
  ],
  aside: (prompt) => {
    if (prompt.split('<|im_start|>user\n').at(-1)?.startsWith(question)) return 'There is none.';
    const agent = /"agent_id":"([^"]+)"/.exec(prompt)?.[1];
    if (agent === undefined || prompt.includes('wait_agent')) return null;
    return textOf({ calls: [{ tool: 'multi_agent_v1.wait_agent', arguments: { targets: [agent] } }] });
  },
  // The sub-agent has other tools: it cannot start another one.
  breaks: ['tools-changed'],
  launch: ({ installed, home, baseUrl, apiKey, model, task }) => ({
    argv: [
      join(installed, 'node_modules', '.bin', 'codex'),
      ...['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', task],
    ],
    env: { OPENAI_API_KEY: apiKey },
    files: {
      [join(home, '.codex', 'config.toml')]: `model = "${model}"
model_provider = "espalier"
check_for_update_on_startup = false

[model_providers.espalier]
name = "Espalier"
base_url = "${baseUrl}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"

[analytics]
enabled = false
`,
    },
  }),
};
