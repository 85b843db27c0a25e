/** The `ai` SDK with `@ai-sdk/openai`, in an agent of sixty lines (ai-sdk-agent.mjs): the responses dialect. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentKind } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine } from '../scripted-task.ts';

export const kind: AgentKind = {
  name: 'ai-sdk',
  packages: { ai: '7.0.173', '@ai-sdk/openai': '4.0.118', zod: '4.6.7' },
  replies: () => [
    {
      thinking: 'Both files first.',
      text: 'I read them.',
      calls: [
        { tool: 'read', arguments: { path: brokenFile } },
        { tool: 'read', arguments: { path: 'check.js' } },
      ],
    },
    // A file that is not there: the answer is an error.
    { calls: [{ tool: 'read', arguments: { path: 'sums.js' } }] },
    { calls: [{ tool: 'edit', arguments: { path: brokenFile, old: brokenLine, new: mendedLine } }] },
    { text: 'Now the check.', calls: [{ tool: 'bash', arguments: { command, limits: { seconds: 20.5 } } }] },
    // Arguments that are no JSON object, and a tool that does not exist.
    { calls: [{ tool: 'bash', arguments: 'nothing' }] },
    { calls: [{ tool: 'nothing', arguments: {} }] },
    { text: lastWords },
  ],
  launch: ({ installed, baseUrl, apiKey, model, task }) => {
    // Beside its packages, or Node does not find them.
    const program = join(installed, 'agent.mjs');
    return {
      argv: [process.execPath, program, task],
      env: { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: apiKey, OPENAI_MODEL: model, OPENAI_API: 'responses' },
      files: { [program]: readFileSync(join(import.meta.dirname, 'ai-sdk-agent.mjs'), 'utf8') },
    };
  },
};
