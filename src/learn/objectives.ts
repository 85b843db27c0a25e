/** From configuration to the engine's objective. The formulas stand at `Objective` in engine/engine.ts. */
import { EspalierError } from '../core/errors.ts';
import type { Objective } from '../engine/engine.ts';

export interface ClipOptions {
  /** The ratio is not pushed below 1 - clipLow by a negative advantage, nor above 1 + clipHigh by a positive one. */
  readonly clipLow: number;
  readonly clipHigh: number;
}

export const defaultClip: ClipOptions = { clipLow: 0.2, clipHigh: 0.28 };

/** `sampledTokens` makes it a token mean over the step's batch. Throws EspalierError('config') for an impossible range. */
export function clippedObjective(sampledTokens: number, clip: ClipOptions = defaultClip): Objective {
  if (!(clip.clipLow >= 0 && clip.clipLow < 1 && clip.clipHigh >= 0)) {
    throw new EspalierError(
      'config',
      `clip range ${clip.clipLow} / ${clip.clipHigh} is impossible: give clipLow from 0 to below 1 and clipHigh from 0`,
    );
  }
  return { kind: 'clipped', ...clip, normalizer: Math.max(1, sampledTokens) };
}

/** `weight` is the sum of the terms' counts, which makes it a weighted token mean. */
export function crossEntropyObjective(weight: number): Objective {
  return { kind: 'cross-entropy', normalizer: weight > 0 ? weight : 1 };
}
