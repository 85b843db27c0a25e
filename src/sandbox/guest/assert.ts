/**
 * Guest code: `node:assert`, small. A failure's message says what was expected and what came, on one line.
 *
 * Differs from Node's on purpose: `equal` of an object and a primitive always fails (no `valueOf` lies), and the
 * message of the caller is put before the values, not in their place.
 */
import type { Equality } from './equality.ts';
import type { Show } from './show.ts';

/** What the registry is told, so that a swallowed failure still counts and a test without assertions is seen. */
export interface AssertionRecord {
  made(): void;
  /** The assertion that was made held, or its failure is what the test wants. Without it or `failed` it was cut short. */
  held(): void;
  failed(message: string): void;
}

/** `strictNames`: `equal` and its like are the strict ones, as in `node:assert/strict`. */
export function makeAssert(show: Show, equality: Equality, record: AssertionRecord, strictNames: boolean): object {
  class AssertionError extends Error {
    readonly code = 'ERR_ASSERTION';
    readonly actual: unknown;
    readonly expected: unknown;
    constructor(options: { message: string; actual?: unknown; expected?: unknown }) {
      super(options.message);
      this.actual = options.actual;
      this.expected = options.expected;
    }
  }
  Object.defineProperty(AssertionError.prototype, 'name', {
    value: 'AssertionError',
    writable: true,
    configurable: true,
  });

  /** Above 0 inside `throws` and its like, where a failing assertion is what the test may want. */
  let expectingThrow = 0;

  const fail = (message: unknown, facts: string, actual?: unknown, expected?: unknown): never => {
    if (expectingThrow > 0) record.held();
    if (message instanceof Error) {
      if (expectingThrow === 0) record.failed(show.error(message, 120));
      throw message;
    }
    const line = typeof message === 'string' && message !== '' ? `${message.slice(0, 60)}: ${facts}` : facts;
    if (expectingThrow === 0) record.failed(line);
    throw new AssertionError({ message: line, actual, expected });
  };

  const check = (holds: boolean, message: unknown, facts: () => string, actual?: unknown, expected?: unknown): void => {
    record.made();
    if (!holds) fail(message, facts(), actual, expected);
    record.held();
  };

  const got = (actual: unknown, expected: unknown) => (): string =>
    `expected ${show.value(expected, 60)}, got ${show.value(actual, 60)}`;
  const not = (expected: unknown) => (): string => `expected anything but ${show.value(expected, 60)}`;

  const same = (a: unknown, b: unknown): boolean => Object.is(a, b);
  const isPrimitive = (value: unknown): boolean =>
    value === null || (typeof value !== 'object' && typeof value !== 'function');
  const loose = (a: unknown, b: unknown): boolean =>
    Object.is(a, b) || (isPrimitive(a) && isPrimitive(b) && equality(a, b, false));
  const shallow = strictNames ? same : loose;

  const ok = (value: unknown, message?: unknown): void =>
    check(Boolean(value), message, () => `expected a true value, got ${show.value(value, 60)}`, value, true);

  const comparison =
    (equal: (a: unknown, b: unknown) => boolean, wanted: boolean) =>
    (actual: unknown, expected: unknown, message?: unknown): void =>
      check(
        equal(actual, expected) === wanted,
        message,
        wanted ? got(actual, expected) : not(expected),
        actual,
        expected,
      );
  const deep =
    (strict: boolean) =>
    (a: unknown, b: unknown): boolean =>
      equality(a, b, strict);

  /** True when `thrown` is what `wanted` describes: a class, a pattern, a predicate or an object of properties. */
  const matches = (thrown: unknown, wanted: unknown): boolean => {
    if (wanted === undefined) return true;
    if (wanted instanceof RegExp) return RegExp.prototype.test.call(wanted, String(thrown));
    if (typeof wanted === 'function') {
      const isClass = wanted.prototype !== undefined && thrown instanceof (wanted as unknown as new () => object);
      if (isClass) return true;
      if (wanted === Error || Object.prototype.isPrototypeOf.call(Error, wanted)) return false;
      return Reflect.apply(wanted, {}, [thrown]) === true;
    }
    if (typeof wanted !== 'object' || wanted === null) return false;
    if (isPrimitive(thrown)) return false;
    const names = new Set<PropertyKey>(Object.keys(wanted));
    if (wanted instanceof Error) names.add('name').add('message');
    return [...names].every((name) => {
      const expected: unknown = Reflect.get(wanted, name);
      const actual: unknown = Reflect.get(thrown as object, name);
      if (expected instanceof RegExp && typeof actual === 'string') return RegExp.prototype.test.call(expected, actual);
      return equality(actual, expected, true);
    });
  };

  type Caught = { readonly thrown: unknown } | null;
  const judge = (caught: Caught, wanted: unknown, message: unknown): void => {
    const text = typeof wanted === 'string' ? wanted : message;
    const description = typeof wanted === 'string' ? undefined : wanted;
    const facts = (): string => {
      if (caught === null) return 'expected a throw, got none';
      const shown = description instanceof RegExp ? `${description}` : 'another error';
      return `expected ${shown}, got ${show.error(caught.thrown, 60)}`;
    };
    check(caught !== null && matches(caught.thrown, description), text, facts, caught?.thrown, description);
  };
  const refuse = (caught: Caught, message: unknown): void =>
    check(caught === null, message, () => `expected no throw, got ${show.error(caught?.thrown, 60)}`);

  const attempt = (body: unknown): Caught => {
    if (typeof body !== 'function') throw new TypeError('assert.throws needs a function');
    expectingThrow++;
    try {
      Reflect.apply(body, undefined, []);
      return null;
    } catch (thrown) {
      return { thrown };
    } finally {
      expectingThrow--;
    }
  };
  const attemptAsync = async (body: unknown): Promise<Caught> => {
    try {
      await (typeof body === 'function' ? Reflect.apply(body, undefined, []) : body);
      return null;
    } catch (thrown) {
      return { thrown };
    }
  };

  const throws = (body: unknown, wanted?: unknown, message?: unknown): void => judge(attempt(body), wanted, message);
  const rejects = async (body: unknown, wanted?: unknown, message?: unknown): Promise<void> =>
    judge(await attemptAsync(body), wanted, message);
  const matching =
    (wanted: boolean) =>
    (text: unknown, pattern: unknown, message?: unknown): void => {
      const holds = typeof text === 'string' && pattern instanceof RegExp && RegExp.prototype.test.call(pattern, text);
      check(
        holds === wanted,
        message,
        () => `expected ${wanted ? '' : 'no '}match of ${pattern}, got ${show.value(text, 60)}`,
      );
    };

  const assert = (value: unknown, message?: unknown): void => ok(value, message);
  return Object.assign(assert, {
    ok,
    equal: comparison(shallow, true),
    notEqual: comparison(shallow, false),
    strictEqual: comparison(same, true),
    notStrictEqual: comparison(same, false),
    deepEqual: comparison(deep(strictNames), true),
    notDeepEqual: comparison(deep(strictNames), false),
    deepStrictEqual: comparison(deep(true), true),
    notDeepStrictEqual: comparison(deep(true), false),
    throws,
    doesNotThrow: (body: unknown, wanted?: unknown, message?: unknown): void =>
      refuse(attempt(body), typeof wanted === 'string' ? wanted : message),
    rejects,
    doesNotReject: async (body: unknown, wanted?: unknown, message?: unknown): Promise<void> =>
      refuse(await attemptAsync(body), typeof wanted === 'string' ? wanted : message),
    match: matching(true),
    doesNotMatch: matching(false),
    fail: (message?: unknown): void => {
      record.made();
      fail(undefined, typeof message === 'string' ? message : 'failed');
    },
    ifError: (value: unknown): void =>
      check(value === null || value === undefined, undefined, () => `expected no error, got ${show.error(value, 60)}`),
    AssertionError,
  });
}
