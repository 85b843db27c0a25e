/** opencode, asked to speak the responses dialect: opencode.ts. */
import type { AgentKind } from '../agents.ts';
import { launchOpencode, kind as opencode } from './opencode.ts';

export const kind: AgentKind = {
  ...opencode,
  name: 'opencode-responses',
  folder: opencode.name,
  launch: (place) => launchOpencode(place, '@ai-sdk/openai', place.baseUrl),
};
