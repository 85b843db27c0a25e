/** The agent of ai-sdk.ts, asked to speak chat completions. */
import type { AgentKind } from '../agents.ts';
import { kind as responsesKind } from './ai-sdk.ts';

export const kind: AgentKind = {
  ...responsesKind,
  name: 'ai-sdk-chat',
  folder: responsesKind.name,
  launch: (place) => {
    const launch = responsesKind.launch(place);
    return { ...launch, env: { ...launch.env, OPENAI_API: 'chat' } };
  },
};
