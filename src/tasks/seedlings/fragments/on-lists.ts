/** Fragments that take lists of numbers or of records. */
import type { Random } from '../../../core/random.ts';
import { type Constants, fragment, near, numberOf, numbers, type Value } from '../fragment.ts';

const list = (random: Random): Value => numbers(random, random.between(3, 6), 1, 20);

const records = (random: Random, edge: number): Value =>
  Array.from({ length: random.between(2, 4) }, () => ({
    $fldA: random.chance(0.5) ? edge + random.between(-1, 1) : random.between(1, 20),
    $fldB: random.between(1, 9),
  }));

const edges = (random: Random, constants: Constants, keys: readonly string[]): Value =>
  Array.from({ length: random.between(3, 6) }, () => near(random, constants, keys, 1, 30));

export const listFragments = [
  fragment('extreme', {
    takes: ['list'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => [random.chance(0.15) ? [] : list(random)],
    code: `
exports.$f = ($list) => {
  let $acc = $K1;
  for (const $it of $list) {
    if ($it «>~<» $acc) $acc = $it;
  }
  return $acc;
};`,
    says: '«largest~smallest» of $list and $K1',
  }),
  fragment('find', {
    takes: ['list', 'num'],
    gives: 'num',
    args: (random) => {
      const values = numbers(random, random.between(3, 6), 1, 20);
      return [values, random.chance(0.7) ? (values[random.below(values.length)] as number) : random.between(1, 20)];
    },
    code: `
exports.$f = ($list, $num) => {
  for (let $i = 0; $i < $list.length; $i += 1) {
    if ($list[$i] «===~>~>=~<» $num) return $i;
  }
  return -1;
};`,
    says: 'index of the first of $list «equal to~over~at least~under» $num, or -1',
  }),
  fragment('page', {
    takes: ['list', 'num'],
    gives: 'list',
    constants: (random) => ({ K1: random.between(2, 4) }),
    args: (random) => [numbers(random, random.between(6, 9), 1, 20), random.between(1, 3)],
    code: `
exports.$f = ($list, $num) => {
  const $i = «($num - 1) * $K1~$num * $K1»;
  return $list.slice($i, $i + $K1);
};`,
    says: 'page $num of $list, $K1 a page, the first page being «1~0»',
  }),
  fragment('median', {
    takes: ['list'],
    gives: 'num',
    args: (random) => [list(random)],
    code: `
exports.$f = ($list) => {
  const $acc = [...$list].sort(($itA, $itB) => $itA - $itB);
  return $acc[Math.«floor~ceil»(($acc.length - 1) / 2)];
};`,
    says: 'middle of $list by size, of two the «smaller~larger»',
  }),
  fragment('dedupe', {
    takes: ['list'],
    gives: 'list',
    args: (random) => [numbers(random, random.between(4, 7), 1, 5)],
    code: `
exports.$f = ($list) => {
  const $acc = [];
  for (const $it of $list) {
    if (!$acc.includes($it)) $acc.«push~unshift»($it);
  }
  return $acc;
};`,
    says: '$list without repeats, «in order~reversed»',
  }),
  fragment('between', {
    takes: ['list'],
    gives: 'list',
    constants: (random) => ({ K1: random.between(3, 9), K2: random.between(13, 25) }),
    args: (random, constants) => [edges(random, constants, ['K1', 'K2'])],
    code: `
exports.$f = ($list) => {
  const $acc = [];
  for (const $it of $list) {
    if ($it «>~>=~<~<=» $K1 «&&~&&~||~||» $it «<~<=~>~>=» $K2) $acc.push($it);
  }
  return $acc;
};`,
    says: 'those of $list «over~at least~under~at most» $K1 «and~and~or~or» «under~at most~over~at least» $K2',
  }),
  fragment('steps', {
    takes: ['list'],
    gives: 'list',
    args: (random) => [list(random)],
    code: `
exports.$f = ($list) => {
  const $acc = [];
  for (let $i = 1; $i < $list.length; $i += 1) {
    $acc.push($list[$i] «-~+» $list[$i - 1]);
  }
  return $acc;
};`,
    says: 'each of $list «minus~plus» the one before it',
  }),
  fragment('range', {
    takes: ['num', 'num'],
    gives: 'list',
    constants: (random) => ({ K1: random.between(2, 5) }),
    args: (random, constants) => {
      const start = random.between(0, 20);
      return [start, start + numberOf(constants, 'K1') * random.between(1, 4) + random.pick([0, 0, 1])];
    },
    code: `
exports.$f = ($numA, $numB) => {
  const $acc = [];
  for (let $i = $numA; $i «<~<=» $numB; $i += $K1) $acc.push($i);
  return $acc;
};`,
    says: 'every $K1. number from $numA to $numB, $numB «left out~included»',
  }),
  fragment('insert', {
    takes: ['list', 'num'],
    gives: 'num',
    args: (random) => {
      const sorted = numbers(random, random.between(4, 7), 1, 20).sort((a, b) => a - b);
      return [sorted, random.chance(0.7) ? (sorted[random.below(sorted.length)] as number) : random.between(0, 21)];
    },
    code: `
exports.$f = ($list, $num) => {
  let $i = 0;
  let $acc = $list.length;
  while ($i < $acc) {
    const $it = Math.floor(($i + $acc) / 2);
    if ($list[$it] «<~<=» $num) $i = $it + 1;
    else $acc = $it;
  }
  return $i;
};`,
    says: 'where $num goes in the sorted $list, «before~after» its equals',
  }),
  fragment('nth', {
    takes: ['list'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 3) }),
    args: (random) => [numbers(random, random.between(5, 8), 1, 20)],
    code: `
exports.$f = ($list) => {
  let $acc = 0;
  for (let $i = «0~1»; $i < $list.length; $i += $K1) {
    $acc += $list[$i];
  }
  return $acc;
};`,
    says: 'sum of every $K1. of $list from index «0~1»',
  }),
  fragment('streak', {
    takes: ['list'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(5, 15) }),
    args: (random, constants) => [edges(random, constants, ['K1'])],
    code: `
exports.$f = ($list) => {
  let $acc = 0;
  for (const $it of $list) {
    $acc = $it «>~>=~<~<=» $K1 ? $acc + 1 : 0;
  }
  return $acc;
};`,
    says: 'how many at the end of $list are «over~at least~under~at most» $K1',
  }),
  fragment('count', {
    takes: ['recs'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(3, 18) }),
    args: (random, constants) => [records(random, numberOf(constants, 'K1'))],
    code: `
exports.$f = ($list) => {
  let $acc = 0;
  for (const $it of $list) {
    if ($it.$fldA «>~>=~<~<=» $K1) $acc += «b:1~$it.$fldB»;
  }
  return $acc;
};`,
    says: '«b:number of $list~sum of $fldB of $list» with $fldA «over~at least~under~at most» $K1',
  }),
  fragment('invoice', {
    takes: ['recs'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => [records(random, 10)],
    code: `
exports.$f = ($list) => {
  let $acc = $K1;
  for (const $it of $list) {
    $acc += $it.$fldA «*~+~-» $it.$fldB;
  }
  return $acc;
};`,
    says: '$K1 plus the sum of $fldA «times~plus~minus» $fldB of $list',
  }),
  fragment('champion', {
    takes: ['recs'],
    gives: 'num',
    args: (random) => [records(random, 10)],
    code: `
exports.$f = ($list) => {
  let $acc = $list[0];
  for (const $it of $list) {
    if ($it.$fldA «>~<~>=~<=» $acc.$fldA) $acc = $it;
  }
  return $acc.$fldB;
};`,
    says: '$fldB of the «first~first~last~last» of $list with the «largest~smallest~largest~smallest» $fldA',
  }),
];
