/** qwen-code: chat completions, by environment variables. */
import { join } from 'node:path';
import type { AgentKind } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine } from '../scripted-task.ts';

const question = 'Is there another function that adds? Answer in one line.';

export const kind: AgentKind = {
  name: 'qwen-code',
  packages: { '@qwen-code/qwen-code': '0.24.4' },
  replies: ({ work }) => {
    const path = join(work, brokenFile);
    return [
      {
        thinking: 'Both files first.',
        text: 'I read them.',
        calls: [
          { tool: 'read_file', arguments: { file_path: path } },
          { tool: 'read_file', arguments: { file_path: join(work, 'check.js') } },
        ],
      },
      {
        calls: [
          {
            tool: 'edit',
            arguments: { file_path: path, old_string: brokenLine.trim(), new_string: mendedLine.trim() },
          },
        ],
      },
      {
        calls: [
          {
            tool: 'agent',
            arguments: {
              description: 'Look for other sums',
              prompt: question,
              subagent_type: 'general-purpose',
              run_in_background: false,
            },
          },
        ],
      },
      {
        text: 'Now the check.',
        calls: [
          { tool: 'run_shell_command', arguments: { command, is_background: false, description: 'Run the check' } },
        ],
      },
      // Arguments that are no JSON object, and a tool that does not exist.
      { calls: [{ tool: 'run_shell_command', arguments: 'nothing' }] },
      { calls: [{ tool: 'nothing', arguments: {} }] },
      { text: lastWords },
    ];
  },
  aside: (prompt) => (prompt.includes('You are a general-purpose subagent') ? 'There is none.' : null),
  // The sub-agent has another system prompt.
  breaks: ['new-root'],
  launch: ({ installed, home, baseUrl, apiKey, model, task }) => ({
    argv: [join(installed, 'node_modules', '.bin', 'qwen'), '--auth-type', 'openai', '--yolo', '-p', task],
    env: { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: model },
    files: {
      [join(home, '.qwen', 'settings.json')]: JSON.stringify({
        general: { enableAutoUpdate: false },
        privacy: { usageStatisticsEnabled: false },
        telemetry: { enabled: false },
      }),
    },
  }),
};
