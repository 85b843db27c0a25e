/** opencode: chat completions, by a provider of its own in `opencode.json`. */
import { join } from 'node:path';
import type { AgentKind, Launch, Place } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine } from '../scripted-task.ts';

const question = 'Is there another function that adds? Answer in one line.';

export const kind: AgentKind = {
  name: 'opencode',
  packages: { 'opencode-ai': '1.18.33' },
  replies: ({ work }) => {
    const filePath = join(work, brokenFile);
    return [
      {
        thinking: 'Both files first.',
        text: 'I read them.',
        calls: [
          { tool: 'read', arguments: { filePath } },
          { tool: 'read', arguments: { filePath: join(work, 'check.js') } },
        ],
      },
      {
        calls: [{ tool: 'edit', arguments: { filePath, oldString: brokenLine.trim(), newString: mendedLine.trim() } }],
      },
      {
        calls: [
          {
            tool: 'task',
            arguments: { description: 'Look for other sums', prompt: question, subagent_type: 'general' },
          },
        ],
      },
      { text: 'Now the check.', calls: [{ tool: 'bash', arguments: { command, description: 'Run the check' } }] },
      // Arguments that are no JSON object, and a tool that does not exist.
      { calls: [{ tool: 'bash', arguments: 'nothing' }] },
      { calls: [{ tool: 'nothing', arguments: {} }] },
      { text: lastWords },
    ];
  },
  aside: (prompt) => {
    if (prompt.includes('You are a title generator')) return 'Sums that are wrong';
    return prompt.includes(`user\n${question}`) ? 'There is none.' : null;
  },
  // The title is asked for beside the task, before or after its first request; the sub-agent has other tools.
  breaks: ['new-root', 'tools-changed'],
  launch: (place) => launchOpencode(place, '@ai-sdk/openai-compatible', place.baseUrl),
};

/** `provider` is one of the packages that are inside of opencode. */
export function launchOpencode(
  { installed, home, apiKey, model, task }: Place,
  provider: string,
  baseURL: string,
): Launch {
  const espalier = {
    npm: provider,
    options: { baseURL, apiKey: '{env:ESPALIER_KEY}' },
    models: { [model]: { limit: { context: 200_000, output: 4_000 } } },
  };
  return {
    argv: [join(installed, 'node_modules', '.bin', 'opencode'), 'run', task],
    env: {
      ESPALIER_KEY: apiKey,
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    },
    files: {
      [join(home, '.config', 'opencode', 'opencode.json')]: JSON.stringify({
        model: `espalier/${model}`,
        share: 'disabled',
        provider: { espalier },
      }),
    },
  };
}
