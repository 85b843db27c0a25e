/** The README of a seedling folder: how it was made and what it can do, as measured when it was made. */
import type { EvaluationResult } from '../evaluate-model.ts';
import type { Recipe } from './recipe.ts';

export interface ModelFacts {
  readonly seed: number;
  /** Tokens of all demonstrations that it was trained on, shared prefixes counted every time. */
  readonly tokens: number;
  readonly minutes: number;
  readonly recipe: Recipe;
  readonly results: readonly EvaluationResult[];
}

export function modelReadme({ seed, tokens, minutes, recipe, results }: ModelFacts): string {
  const { shape } = recipe;
  return `# seedling

A Qwen3-shaped transformer (hidden ${shape.hiddenSize}, ${shape.layerCount} layers, ${shape.headCount} heads of
${shape.headDim}, ${shape.kvHeadCount} key-value heads) that acts as a coding agent on \`seedlings\` tasks. It was made from
random weights by \`npm run seedling\`, on demonstrations of an imperfect scripted expert, and is left where reinforcement
learning has room.

- seed ${seed}
- ${recipe.cycles.map(({ steps }) => steps).join(' + ')} steps of ${recipe.perStep} demonstrations, ${tokens} tokens
- ${minutes.toFixed(1)} minutes on two cores

Held-out pass rates when it was made:

${results.map(({ text }) => `- ${text}`).join('\n')}
`;
}
