import { expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { inDouble, loadTwin, randomPlan, randomTensors, relativeError, shapes } from './train-case.ts';

const twin = loadTwin();

for (const [name, shape] of Object.entries(shapes)) {
  for (const objective of ['cross-entropy', 'clipped'] as const) {
    test(`the fp64 twin's gradients agree with finite differences: ${name}, ${objective}`, () => {
      const random = new Random(seedOf('finite differences', name, objective));
      const tensors = inDouble(randomTensors(shape, random));
      const wish = { roots: 2, spans: 6, maxSpanTokens: 3, termChance: 0.4 };
      const plan = { ...randomPlan(shape, random, wish), objective };
      const { names, data } = twin.twin(shape, tensors, plan, 'double', true);
      for (const [at, values] of tensors.data.entries()) {
        const gradient = data[names.indexOf(tensors.names[at] ?? '')];
        const exact: number[] = [];
        const measured: number[] = [];
        for (let probe = 0; probe < 6; probe++) {
          const i = random.below(values.length);
          const before = values[i] ?? 0;
          const step = 1e-5;
          const lossAt = (value: number): number => {
            values[i] = value;
            return twin.twin(shape, tensors, plan, 'double', false).loss;
          };
          measured.push((lossAt(before + step) - lossAt(before - step)) / (2 * step));
          values[i] = before;
          exact.push(gradient?.[i] ?? Number.NaN);
        }
        if (measured.every((slope) => Math.abs(slope) < 1e-12)) continue;
        expect(relativeError(exact, measured), tensors.names[at]).toBeLessThan(1e-6);
      }
    });
  }
}
