/** Fragments that take texts. */
import type { Random } from '../../../core/random.ts';
import { fragment } from '../fragment.ts';
import { samples } from '../words.ts';

const phrase = (random: Random, low: number, high: number): string =>
  Array.from({ length: random.between(low, high) }, () => random.pick(samples)).join(' ');

export const textFragments = [
  fragment('pad', {
    takes: ['text'],
    gives: 'text',
    constants: (random) => ({ K1: random.between(4, 7), S1: random.pick(['.', '-', '*', '0', '_']) }),
    args: (random) => [random.pick(samples)],
    code: `
exports.$f = ($text) => {
  let $acc = $text;
  while ($acc.length < $K1) {
    $acc = «$S1 + $acc~$acc + $S1»;
  }
  return $acc;
};`,
    says: '$text with $S1 added «before~after» it until $K1 long',
  }),
  fragment('slug', {
    takes: ['text'],
    gives: 'text',
    constants: (random) => ({ K1: random.between(2, 3), S1: random.pick(['.', '-', '*', '+', '_']) }),
    args: (random) => [phrase(random, 3, 5)],
    code: `
exports.$f = ($text) => {
  const $list = $text.split(' ');
  return $list.slice(«0, $K1~-$K1»).join($S1);
};`,
    says: '«first~last» $K1 words of $text with $S1 between',
  }),
  fragment('pairs', {
    takes: ['text'],
    gives: 'num',
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => [
      Array.from({ length: random.between(2, 3) }, () => `${random.pick(samples)}=${random.between(1, 12)}`).join(','),
    ],
    code: `
exports.$f = ($text) => {
  let $acc = $K1;
  for (const $it of $text.split(',')) {
    $acc «+=~-=» Number($it.split('=')[1]);
  }
  return $acc;
};`,
    says: '$K1 «plus~minus» the numbers in $text, such as cat=2,dog=3',
  }),
  fragment('letters', {
    takes: ['text'],
    gives: 'num',
    constants: (random) => ({ S1: random.pick(['a', 'e', 'o', 'r', 'l']) }),
    args: (random) => [phrase(random, 1, 3)],
    code: `
exports.$f = ($text) => {
  let $acc = 0;
  for (const $it of $text) {
    if ($it «===~!==» $S1) $acc += 1;
  }
  return $acc;
};`,
    says: 'number of letters of $text «equal to~other than» $S1',
  }),
  fragment('shorten', {
    takes: ['text'],
    gives: 'text',
    constants: (random) => ({ K1: random.between(3, 8), S1: random.pick(['.', '-', '*', '+', '_']) }),
    args: (random) => [phrase(random, 1, 2)],
    code: `
exports.$f = ($text) => {
  if ($text.length <= $K1) return $text;
  return «$text.slice(0, $K1) + $S1~$S1 + $text.slice(-$K1)»;
};`,
    says: '$text if up to $K1 long, else «its first $K1 letters and $S1~$S1 and its last $K1 letters»',
  }),
  fragment('initials', {
    takes: ['text'],
    gives: 'text',
    constants: (random) => ({ S1: random.pick(['.', '-', '*', '+', '_']) }),
    args: (random) => [phrase(random, 2, 4)],
    code: `
exports.$f = ($text) => {
  let $acc = '';
  for (const $it of $text.split(' ')) {
    $acc += «$it[0] + $S1~$S1 + $it[0]»;
  }
  return $acc;
};`,
    says: 'first letters of the words of $text, $S1 «after~before» each',
  }),
];
