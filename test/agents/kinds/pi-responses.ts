/** The agent of pi.ts, asked to speak responses. */
import type { AgentKind } from '../agents.ts';
import { launchPi, kind as pi } from './pi.ts';

export const kind: AgentKind = {
  ...pi,
  name: 'pi-responses',
  folder: pi.name,
  launch: (place) => launchPi(place, 'openai-responses', place.baseUrl),
};
