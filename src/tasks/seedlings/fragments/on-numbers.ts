/** Fragments that take numbers. */
import { fragment, near, numberOf } from '../fragment.ts';

export const numberFragments = [
  fragment('clamp', {
    takes: ['num'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 19), K2: random.between(25, 70) }),
    args: (random, constants) => [
      random.pick([random.between(0, 1), near(random, constants, ['K1', 'K2'], 20, 24), random.between(71, 99)]),
    ],
    code: `
exports.$f = ($num) => {
  if ($num < $K1) return $K1;
  if ($num > $K2) return $K2;
  return $num;
};`,
    says: '$num, but at least $K1 and at most $K2',
  }),
  fragment('discount', {
    takes: ['num'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(10, 50), K2: random.between(2, 9) }),
    args: (random, constants) => [near(random, constants, ['K1'], 3, 80)],
    code: `
exports.$f = ($num) => {
  if ($num «>~>=~<~<=» $K1) return $num «b:+~-» $K2;
  return $num;
};`,
    says: '$num «b:plus~minus» $K2 if «over~at least~under~at most» $K1, else $num',
  }),
  fragment('gcd', {
    takes: ['num', 'num'],
    gives: 'num',
    args: (random) => {
      const common = random.between(2, 9);
      return [common * random.between(1, 9), common * random.between(1, 9)];
    },
    code: `
exports.$f = ($numA, $numB) => {
  while ($numB > 0) {
    [$numA, $numB] = [$numB, $numA % $numB];
  }
  return $numA;
};`,
    says: 'greatest common divisor of $numA and $numB',
  }),
  fragment('points', {
    takes: ['num', 'num'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9), K2: random.between(2, 9) }),
    args: (random) => [random.between(0, 12), random.between(0, 12)],
    code: `
exports.$f = ($numA, $numB) => {
  const $acc = $numA * $K1;
  return $acc «+~-» $numB * $K2;
};`,
    says: '$numA times $K1 «plus~minus» $numB times $K2',
  }),
  fragment('overlap', {
    takes: ['span', 'span'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => {
      const a = random.between(0, 30);
      const b = random.between(0, 30);
      return [
        [a, a + random.between(5, 30)],
        [b, b + random.between(5, 30)],
      ];
    },
    code: `
exports.$f = ($numA, $numB) => {
  const $itA = Math.max($numA[0], $numB[0]);
  const $itB = Math.min($numA[1], $numB[1]);
  return $itA «<~<=» $itB ? $itB - $itA + $K1 : 0;
};`,
    says: 'length that pairs $numA and $numB [start, end] share plus $K1, or 0 if «only touching~apart»',
  }),
  fragment('halvings', {
    takes: ['num'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random, constants) => [
      near(random, { K1: numberOf(constants, 'K1') * random.pick([1, 2, 4]) }, ['K1'], 1, 99),
    ],
    code: `
exports.$f = ($num) => {
  let $acc = 0;
  for (let $it = $num; $it «>~>=» $K1; $it = Math.floor($it / 2)) {
    $acc += 1;
  }
  return $acc;
};`,
    says: 'how often $num is halved, rounded down, until «at most~under» $K1',
  }),
];
