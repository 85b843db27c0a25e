/** The agent of pi.ts, asked to speak messages: its client wants the address without `/v1`. */
import type { AgentKind } from '../agents.ts';
import { launchPi, kind as pi } from './pi.ts';

export const kind: AgentKind = {
  ...pi,
  name: 'pi-messages',
  folder: pi.name,
  launch: (place) => launchPi(place, 'anthropic-messages', place.baseUrl.replace(/\/v1$/, '')),
};
