/** Fragments that call those of other files: what makes a repository of them. */
import { fragment, type Slot, type Value } from '../fragment.ts';

const given = (gives: Slot['gives']): Slot => ({ takes: 'any', gives });

/** A threshold that some calls meet exactly, if one of their results is short enough to stand in code. */
const threshold = (results: readonly Value[]): number => {
  const found = results.find((value) => typeof value === 'number' && value >= 0 && value < 100);
  return typeof found === 'number' ? found : 50;
};

export const callerFragments = [
  fragment('drive', {
    takes: ['list'],
    gives: 'num',
    slots: [given('feed')],
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => [Array.from({ length: random.between(2, 4) }, () => random.between(1, 20))],
    code: `
exports.$f = ($list) => {
  const $item = new $A.$fa();
  for (const $it of $list) $item.$maa($it «+~*» $K1);
  return $item.$mba();
};`,
    says: '$mba() of $fa after $maa of each of $list «plus~times» $K1',
  }),
  fragment('spend', {
    takes: ['list'],
    gives: 'num',
    slots: [given('budget')],
    args: (random) => [Array.from({ length: random.between(3, 6) }, () => random.between(1, 14))],
    code: `
exports.$f = ($list) => {
  const $item = new $A.$fa();
  let $acc = 0;
  for (const $it of $list) {
    if («~!»$item.$maa($it)) $acc += 1;
  }
  return $acc;
};`,
    says: 'for how many of $list $maa of $fa gives «true~false»',
  }),
  fragment('scale', {
    takes: null,
    gives: 'num',
    slots: [given('num')],
    constants: (random) => ({ K1: random.between(2, 9), K2: random.between(2, 30) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return $acc * $K1 «+~-» $K2;
};`,
    says: '$fa times $K1 «plus~minus» $K2',
  }),
  fragment('label', {
    takes: null,
    gives: 'text',
    slots: [given('num')],
    constants: (random, results) => {
      const [a, b] = random.shuffled(['big', 'fine', 'good', 'high', 'low', 'ok', 'poor', 'small']);
      return { K1: threshold(results), S1: a as string, S2: b as string };
    },
    code: `
exports.$f = ($ps) => {
  if ($A.$fa($ps) «>~>=~<~<=» $K1) return $S1;
  return $S2;
};`,
    says: '$S1 if $fa is «over~at least~under~at most» $K1, else $S2',
  }),
  fragment('each', {
    takes: ['list'],
    gives: 'list',
    slots: [{ takes: ['num'], gives: 'num' }],
    constants: (random) => ({ K1: random.between(2, 9) }),
    args: (random) => [Array.from({ length: random.between(2, 4) }, () => random.between(1, 40))],
    code: `
exports.$f = ($list) => {
  const $acc = [];
  for (const $it of $list) {
    $acc.«push~unshift»($A.$fa($it) «b:+~-» $K1);
  }
  return $acc;
};`,
    says: '$fa «b:plus~minus» $K1 of each of $list, «in order~reversed»',
  }),
  fragment('end', {
    takes: null,
    gives: 'num',
    slots: [given('list')],
    constants: (random) => ({ K1: random.between(2, 9) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  if ($acc.length === 0) return $K1;
  return «$acc[0]~$acc[$acc.length - 1]»;
};`,
    says: '«first~last» of $fa, or $K1 if empty',
  }),
  fragment('cap', {
    takes: null,
    gives: 'num',
    slots: [given('num')],
    constants: (_, results) => ({ K1: threshold(results) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return Math.«min~max»($acc, $K1);
};`,
    says: '«smaller~larger» of $fa and $K1',
  }),
  fragment('total', {
    takes: null,
    gives: 'num',
    slots: [given('list')],
    constants: (random) => ({ K1: random.between(2, 30) }),
    code: `
exports.$f = ($ps) => {
  let $acc = $K1;
  for (const $it of $A.$fa($ps)) {
    $acc «+=~-=» $it;
  }
  return $acc;
};`,
    says: '$K1 «plus~minus» each of $fa',
  }),
  fragment('amount', {
    takes: null,
    gives: 'num',
    slots: [given('list')],
    constants: (random) => ({ K1: random.between(2, 9) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps).length;
  return $acc «*~+» $K1;
};`,
    says: 'how many $fa gives, «times~plus» $K1',
  }),
  fragment('size', {
    takes: null,
    gives: 'num',
    slots: [given('text')],
    constants: (random) => ({ K1: random.between(2, 9) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return $acc.length «+~-~*» $K1;
};`,
    says: 'length of $fa «plus~minus~times» $K1',
  }),
  fragment('affix', {
    takes: null,
    gives: 'text',
    slots: [given('text')],
    constants: (random) => ({ S1: random.pick(['a', 'b', 'x', 'y', 'z']), K1: random.between(2, 4) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return («$S1 + $acc~$acc + $S1»).repeat($K1);
};`,
    says: '«$S1 and $fa $K1 times~$fa and $S1 $K1 times»',
  }),
  fragment('chain', {
    takes: null,
    gives: null,
    slots: [given('any'), { takes: 'result', gives: 'any' }],
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return $B.$fb($acc);
};`,
    says: '$fb of $fa',
  }),
  fragment('combine', {
    takes: null,
    gives: 'num',
    slots: [given('num'), { takes: 'first', gives: 'num' }],
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  return $acc «+~-~*» $B.$fb($ps);
};`,
    says: '$fa «plus~minus~times» $fb',
  }),
  fragment('best', {
    takes: null,
    gives: 'num',
    slots: [given('num'), { takes: 'first', gives: 'num' }],
    constants: (random) => ({ K1: random.between(2, 9) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps) «b:+~-» $K1;
  return Math.«max~min»($acc, $B.$fb($ps));
};`,
    says: '«larger~smaller» of $fa «b:plus~minus» $K1 and $fb',
  }),
  fragment('gate', {
    takes: null,
    gives: 'num',
    slots: [given('num'), { takes: ['num'], gives: 'num' }],
    constants: (_, results) => ({ K1: threshold(results) }),
    code: `
exports.$f = ($ps) => {
  const $acc = $A.$fa($ps);
  if ($acc «>~>=~<~<=» $K1) return $acc;
  return $B.$fb($acc);
};`,
    says: '$fa if «over~at least~under~at most» $K1, else $fb of it',
  }),
];
