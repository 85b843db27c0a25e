/** Claude Code: the messages dialect. */
import { join } from 'node:path';
import type { AgentKind } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine, task } from '../scripted-task.ts';

const question = 'Is there another function that adds? Answer in one line.';

export const kind: AgentKind = {
  name: 'claude-code',
  packages: { '@anthropic-ai/claude-code': '2.1.331' },
  replies: ({ work }) => {
    const path = join(work, brokenFile);
    const check = join(work, 'check.js');
    return [
      {
        thinking: 'Both files first.',
        text: 'I read them.',
        calls: [path, check].map((file_path) => ({ tool: 'Read', arguments: { file_path } })),
      },
      // It sends these two back changed: white space at the ends of lines cut, defaults filled in, its own folder gone.
      {
        calls: [
          { tool: 'Edit', arguments: { file_path: path, old_string: brokenLine, new_string: `${mendedLine}  ` } },
        ],
      },
      {
        calls: [
          {
            tool: 'Agent',
            arguments: { description: 'Look for other sums', prompt: question, run_in_background: false },
          },
        ],
      },
      {
        text: 'Now the check.',
        calls: [{ tool: 'Bash', arguments: { command: `cd ${work} && ${command}`, description: 'Run the check' } }],
      },
      // Arguments that are no JSON object, and a tool that does not exist: it answers both with an error.
      { calls: [{ tool: 'Bash', arguments: 'nothing' }] },
      { calls: [{ tool: 'Nothing', arguments: {} }] },
      { text: lastWords },
    ];
  },
  aside: (prompt) => (prompt.includes(question) && !prompt.includes(task) ? 'There is none.' : null),
  // The sub-agent.
  breaks: ['new-root'],
  launch: ({ installed, baseUrl, apiKey, model }) => ({
    argv: [
      join(installed, 'node_modules', '.bin', 'claude'),
      ...['-p', task, '--output-format', 'stream-json', '--verbose'],
      ...['--allowedTools', 'Read,Edit,Bash'],
    ],
    env: {
      ANTHROPIC_BASE_URL: baseUrl.replace(/\/v1$/, ''),
      ANTHROPIC_AUTH_TOKEN: apiKey,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_SMALL_FAST_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
    },
  }),
};
