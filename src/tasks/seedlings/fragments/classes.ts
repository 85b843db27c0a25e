/** Fragments that are small classes. Their calls are scripts: one method after the other on one instance. */
import type { Random } from '../../../core/random.ts';
import { fragment, near, numberOf, type Value } from '../fragment.ts';

const fed = (random: Random, count: number): Value[] => [
  ...Array.from({ length: count }, () => ['$ma', random.between(1, 20)]),
  ['$mb'],
];

export const classFragments = [
  fragment('counter', {
    takes: [],
    gives: 'feed',
    constants: (random) => ({ K1: random.between(2, 9), K2: random.between(20, 40) }),
    args: (random) => fed(random, random.between(1, 4)),
    code: `
exports.$f = class {
  $acc = $K1;
  $ma($num) { this.$acc += $num; }
  $mb() { return «Math.min(this.$acc, $K2)~this.$acc * $K2»; }
};`,
    says: 'starts at $K1, $ma($num) adds, $mb() gives «at most $K2~it times $K2»',
  }),
  fragment('stack', {
    takes: [],
    gives: 'feed',
    args: (random) => {
      const calls = fed(random, random.between(2, 4));
      return random.chance(0.4) ? [...calls, ['$mb']] : calls;
    },
    code: `
exports.$f = class {
  $list = [];
  $ma($num) { this.$list.push($num); }
  $mb() { return this.$list.«pop~shift»(); }
};`,
    says: '$ma($num) adds, $mb() takes out the «newest~oldest»',
  }),
  fragment('budget', {
    takes: [],
    gives: 'budget',
    constants: (random) => ({ K1: random.between(12, 30) }),
    args: (random, constants) => {
      const first = random.between(1, 9);
      return [
        ['$ma', first],
        ['$ma', near(random, { K1: numberOf(constants, 'K1') - first }, ['K1'], 1, 30)],
        ...(random.chance(0.5) ? [['$ma', random.between(1, 9)]] : []),
      ];
    },
    code: `
exports.$f = class {
  $acc = $K1;
  $ma($num) {
    if ($num «>~>=» this.$acc) return false;
    this.$acc -= $num;
    return true;
  }
};`,
    says: 'starts with $K1, $ma($num) takes $num and gives true, or false if «more than~all or more than» what is left',
  }),
];
