/** Claude Code in a conversation of three messages, of which the second one compacts it. */
import { join } from 'node:path';
import type { AgentKind } from '../agents.ts';
import { lastWords, task } from '../scripted-task.ts';
import { kind as claudeCode } from './claude-code.ts';

const afterwards = 'Now say that it is done.';

export const kind: AgentKind = {
  ...claudeCode,
  name: 'claude-code-compact',
  folder: claudeCode.name,
  aside: (prompt) => {
    if (prompt.includes(afterwards)) return lastWords;
    if (prompt.includes('create a detailed summary')) {
      return '<analysis>Sums.</analysis>\n<summary>The sums were wrong and are right.</summary>';
    }
    return claudeCode.aside?.(prompt) ?? null;
  },
  // The sub-agent; the request for the summary, which leaves the last reply out; and the conversation after it, which
  // begins with the summary and keeps that reply as it was sampled.
  breaks: ['new-root', 'fork', 'history-shortened'],
  launch: (place) => {
    const { argv, env } = claudeCode.launch(place);
    const said = JSON.stringify([task, '/compact', afterwards]);
    const started = argv.map((word) => (word === task ? '--input-format=stream-json' : word));
    return { argv: [process.execPath, join(import.meta.dirname, 'say-in-turn.mjs'), said, ...started], env };
  },
};
