/** A small repository with one bug, for the tests of this folder. */
import { taskId } from '../../core/ids.ts';
import type { Task } from '../../core/task.ts';

const clampWrong = `'use strict';
function clamp(value, low, high) {
  if (value < low) return high;
  return value > high ? high : value;
}
module.exports = { clamp };
`;

const visibleTest = `const test = require('node:test');
const assert = require('node:assert');
const { clamp } = require('../src/clamp.js');

test('keeps the lower bound', () => {
  assert.strictEqual(clamp(-4, 0, 9), 0);
});

test('keeps the upper bound', async () => {
  assert.deepStrictEqual([clamp(12, 0, 9), clamp(4, 0, 9)], [9, 4]);
});
`;

const hiddenTest = `const test = require('node:test');
const assert = require('node:assert');
const { clamp } = require('../src/clamp.js');

test('keeps another lower bound', () => {
  assert.strictEqual(clamp(-9, -2, 7), -2);
});

test('works in a callback', () => {
  [[5, 5], [1, 2]].forEach(([value, wanted]) => assert.equal(clamp(value, 2, 5), wanted));
});
`;

export const repository: Task = {
  id: taskId('fixture/clamp'),
  statement: 'clamp(value, low, high) keeps value between low and high.',
  files: {
    'package.json': '{ "name": "fixture", "scripts": { "test": "node --test" } }\n',
    'src/clamp.js': clampWrong,
    'test/clamp.test.js': visibleTest,
  },
  allowedPaths: ['src/clamp.js', 'src/extra.js'],
  hidden: { 'test/hidden.test.js': hiddenTest },
  expectedTests: [
    'test/clamp.test.js > keeps the lower bound',
    'test/clamp.test.js > keeps the upper bound',
    'test/hidden.test.js > keeps another lower bound',
    'test/hidden.test.js > works in a callback',
  ],
  solution: { 'src/clamp.js': clampWrong.replace('return high;', 'return low;') },
  origin: { fragment: 'clamp', operator: 'wrong-variable', fileCount: 1 },
};
