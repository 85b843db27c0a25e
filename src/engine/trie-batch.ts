/** Checks what training is given, since the native side checks nothing. */
import { EspalierError } from '../core/errors.ts';
import type { ModelShape, TrainPlan } from '../native/native.ts';
import type { TrainRequest, TrieBatch } from './engine.ts';

/** Throws an `engine` error that names the first thing that is wrong. */
export function checkBatch(batch: TrieBatch, shape: ModelShape): void {
  const { tokens, spanStart, spanParent, termNode, termTarget } = batch;
  const spans = spanParent.length;
  if (tokens.length === 0) throw wrong('it has no tokens');
  if (termNode.length === 0) throw wrong('it has no loss terms');
  if (spanStart.length !== spans + 1) throw wrong(`${spanStart.length} span starts do not fit ${spans} spans`);
  if (spanStart[0] !== 0 || spanStart[spans] !== tokens.length) throw wrong('its spans do not cover its tokens');
  const depth = new Int32Array(spans);
  const path: number[] = [];
  for (let s = 0; s < spans; s++) {
    const length = (spanStart[s + 1] as number) - (spanStart[s] as number);
    if (length <= 0) throw wrong(`span ${s} has ${length} tokens`);
    const parent = spanParent[s] as number;
    while (path.length > 0 && path.at(-1) !== parent) path.pop();
    if (parent !== (path.at(-1) ?? -1)) throw wrong(`span ${s} with parent ${parent} is out of depth-first order`);
    path.push(s);
    depth[s] = length + (parent < 0 ? 0 : (depth[parent] as number));
    if ((depth[s] as number) > shape.contextLength) {
      throw wrong(`span ${s} ends at depth ${depth[s]}, beyond the context of ${shape.contextLength}`);
    }
  }
  checkIds(tokens, shape.vocabSize, 'token');
  checkIds(termTarget, shape.vocabSize, 'target');
  for (const column of ['termTarget', 'termBehaviorLogprob', 'termAPos', 'termANeg', 'termCount'] as const) {
    if (batch[column].length !== termNode.length) throw wrong(`${column} is not one element a term`);
  }
  for (let i = 0, last = 0; i < termNode.length; i++) {
    const node = termNode[i] as number;
    if (node < last || node >= tokens.length) throw wrong(`term ${i} at node ${node} is out of order or of range`);
    last = node;
  }
}

/** Throws when an id is not one of the vocabulary's. */
export function checkIds(ids: Int32Array, vocabSize: number, what: string): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (id < 0 || id >= vocabSize) throw wrong(`${what} ${i} is ${id}, not an id of a vocabulary of ${vocabSize}`);
  }
}

/** The flat form that the kernels take. */
export function trainPlan({ batch, objective, optimizer }: TrainRequest): TrainPlan {
  const clips = objective.kind === 'clipped' ? objective : { clipLow: 0, clipHigh: 0 };
  return {
    ...batch,
    ...optimizer,
    objective: objective.kind,
    normalizer: objective.normalizer,
    clipLow: clips.clipLow,
    clipHigh: clips.clipHigh,
  };
}

function wrong(what: string): EspalierError {
  return new EspalierError('engine', `the engine was given a wrong input: ${what}`);
}
