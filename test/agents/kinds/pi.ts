/** pi: chat completions, by a provider of its own in `models.json`. It speaks the other dialects too: pi-*.ts. */
import { join } from 'node:path';
import type { AgentKind, Launch, Place } from '../agents.ts';
import { brokenFile, brokenLine, command, lastWords, mendedLine } from '../scripted-task.ts';

export const kind: AgentKind = {
  name: 'pi',
  packages: { '@earendil-works/pi-coding-agent': '0.87.1' },
  replies: () => [
    {
      thinking: 'Both files first.',
      text: 'I read them.',
      calls: [brokenFile, 'check.js'].map((path) => ({ tool: 'read', arguments: { path } })),
    },
    // A file that is not there: the answer is an error. And a number that is written as a string.
    { calls: [{ tool: 'read', arguments: { path: 'sums.js', limit: '20' } }] },
    {
      calls: [{ tool: 'edit', arguments: { path: brokenFile, edits: [{ oldText: brokenLine, newText: mendedLine }] } }],
    },
    { text: 'Now the check.\n', calls: [{ tool: 'bash', arguments: { command, timeout: 20.5 } }] },
    // Arguments that are no JSON object, and a tool that does not exist.
    { calls: [{ tool: 'bash', arguments: 'nothing' }] },
    { calls: [{ tool: 'nothing', arguments: {} }] },
    { text: lastWords },
  ],
  launch: (place) => launchPi(place, 'openai-completions', place.baseUrl),
};

export function launchPi({ installed, home, apiKey, model, task }: Place, api: string, baseUrl: string): Launch {
  const provider = { baseUrl, api, apiKey: '$ESPALIER_KEY', models: [{ id: model }] };
  return {
    argv: [join(installed, 'node_modules', '.bin', 'pi'), '--provider', 'espalier', '--model', model, '-p', task],
    env: { PI_OFFLINE: '1', PI_TELEMETRY: '0', ESPALIER_KEY: apiKey },
    files: { [join(home, '.pi', 'agent', 'models.json')]: JSON.stringify({ providers: { espalier: provider } }) },
  };
}
