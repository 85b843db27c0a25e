/** opencode, asked to speak messages: opencode.ts. */
import type { AgentKind } from '../agents.ts';
import { launchOpencode, kind as opencode } from './opencode.ts';

export const kind: AgentKind = {
  ...opencode,
  name: 'opencode-messages',
  folder: opencode.name,
  launch: (place) => launchOpencode(place, '@ai-sdk/anthropic', place.baseUrl),
};
