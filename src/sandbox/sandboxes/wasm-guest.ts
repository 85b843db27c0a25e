/** Joins the guest's functions, by their texts, into the program that the machine evaluates before any other code. */
import { makeAssert } from '../guest/assert.ts';
import { makeEquality } from '../guest/equality.ts';
import { lockdown } from '../guest/lockdown.ts';
import { makeModules } from '../guest/modules.ts';
import { makeRegistry } from '../guest/registry.ts';
import { makeShow } from '../guest/show.ts';

/** The instant at which the guest's clock stands: 2026-01-01T00:00:00Z. */
const guestNow = Date.UTC(2026, 0, 1);

/** Modules that exist in the realm before user code, under names that only the resolver gives out. */
export const internalNames = {
  test: 'espalier:test',
  countedAssert: 'espalier:counted-assert',
  countedStrict: 'espalier:counted-strict',
  plainAssert: 'espalier:plain-assert',
  plainStrict: 'espalier:plain-strict',
} as const;

const testExports = ['test', 'it', 'describe', 'suite', 'skip', 'todo'];
const assertExports = [
  ...['ok', 'equal', 'notEqual', 'strictEqual', 'notStrictEqual', 'deepEqual', 'notDeepEqual', 'deepStrictEqual'],
  ...['notDeepStrictEqual', 'throws', 'doesNotThrow', 'rejects', 'doesNotReject', 'match', 'doesNotMatch', 'fail'],
  ...['ifError', 'AssertionError', 'strict'],
];

function reexport(name: string, exports: readonly string[]): { readonly name: string; readonly text: string } {
  const named = exports.map((key) => `export const ${key} = api.${key};`).join('\n');
  return { name, text: `const api = globalThis.espalierInternals['${name}'];\nexport default api;\n${named}` };
}

export const internalModules: readonly { readonly name: string; readonly text: string }[] = [
  reexport(internalNames.test, testExports),
  ...[
    internalNames.countedAssert,
    internalNames.countedStrict,
    internalNames.plainAssert,
    internalNames.plainStrict,
  ].map((name) => reexport(name, assertExports)),
];

/** Source of `(host) => table`. `table.lock()` ends the construction. */
export function guestProgram(): string {
  return `(function (host) {
'use strict';
const { lock } = (${lockdown})(${guestNow});
const show = (${makeShow})();
const equality = (${makeEquality})();
const registry = (${makeRegistry})(show);
const makeAssert = ${makeAssert};
const silent = { made() {}, held() {}, failed() {} };
const pair = (record) => {
  const loose = makeAssert(show, equality, record, false);
  const strict = makeAssert(show, equality, record, true);
  loose.strict = strict;
  strict.strict = strict;
  return { loose, strict };
};
const counted = pair(registry.record);
const plain = pair(silent);
const names = ({ loose, strict }) =>
  ({ 'node:assert': loose, assert: loose, 'node:assert/strict': strict, 'assert/strict': strict });
const builtins = { tested: { ...names(counted), 'node:test': registry.api }, plain: names(plain) };
const modules = (${makeModules})(host, builtins, registry, show);
globalThis.espalierInternals = {
  '${internalNames.test}': registry.api,
  '${internalNames.countedAssert}': counted.loose,
  '${internalNames.countedStrict}': counted.strict,
  '${internalNames.plainAssert}': plain.loose,
  '${internalNames.plainStrict}': plain.strict,
};
return {
  ...registry,
  ...modules,
  lock() {
    delete globalThis.espalierInternals;
    lock(builtins);
  },
};
})`;
}
