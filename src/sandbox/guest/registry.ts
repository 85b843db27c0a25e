/**
 * Guest code: `node:test`, timers and the ends of tests. The host calls each test and reads how it ended.
 *
 * Covered: `test`, `it`, `describe`, `suite`, their `skip` and `todo`, promises, timers on virtual time.
 * Not covered: hooks, subtests, `only`, mocks.
 *
 * Invariants
 * 1. Entries live in this closure; only test files are given `test`, and only while the host loads them.
 * 2. A test passes only when the host started it, its body ended without a throw, no assertion of a test file failed
 *    (a swallowed failure counts) and at least one was made.
 */
import type { AssertionRecord } from './assert.ts';
import type { Show } from './show.ts';

/** The globals of Node that wait. Time is virtual: the earliest timer is next as soon as nothing else can run. */
export interface Timers {
  readonly setTimeout: unknown;
  readonly setInterval: unknown;
  readonly setImmediate: unknown;
  readonly clearTimeout: unknown;
  readonly clearInterval: unknown;
  readonly clearImmediate: unknown;
  readonly queueMicrotask: unknown;
}

export interface Registry {
  /** Exports of `node:test`. */
  readonly api: object;
  readonly record: AssertionRecord;
  readonly timers: Timers;
  /** From here on `test` refuses. */
  seal(): void;
  count(): number;
  title(index: number): string;
  /** Calls the body; what it returned may still have to settle. */
  start(index: number): void;
  /** Runs the earliest timer; false when there is none. */
  fire(): boolean;
  settled(): boolean;
  /** Why the test that was started last did not pass, or ''. */
  failure(): string;
}

export function makeRegistry(show: Show): Registry {
  interface Entry {
    readonly title: string;
    readonly body: unknown;
  }
  interface Skips {
    readonly skip?: unknown;
    readonly todo?: unknown;
  }
  const entries: Entry[] = [];
  const open: string[] = [];
  let sealed = false;
  let failure = '';
  let made = 0;
  let held = 0;
  let settled = false;

  const record: AssertionRecord = {
    made: () => {
      made++;
    },
    held: () => {
      held++;
    },
    failed: (message) => {
      if (failure === '') failure = message;
    },
  };
  const threw = (thrown: unknown): void => {
    const isAssertion = thrown instanceof Error && failure !== '';
    if (!isAssertion) record.failed(`threw ${show.error(thrown, 100)}`);
  };

  const named = (args: readonly unknown[]): Entry => {
    const body = args.find((arg) => typeof arg === 'function');
    const title = typeof args[0] === 'string' ? args[0] : String((body as { name?: unknown } | undefined)?.name ?? '');
    const options = args.find((arg) => typeof arg === 'object' && arg !== null) as Skips | undefined;
    const skipped = Boolean(options?.skip ?? options?.todo) || body === undefined;
    return { title: [...open, title].join(' > '), body: skipped ? undefined : body };
  };
  const test = (...args: unknown[]): Promise<void> => {
    if (sealed) throw new Error('a test must be registered while its file loads');
    const entry = named(args);
    if (entry.body !== undefined) entries.push(entry);
    return Promise.resolve();
  };
  const describe = (...args: unknown[]): void => {
    if (sealed) throw new Error('a suite must be registered while its file loads');
    const { body } = named(args);
    if (typeof body !== 'function') return;
    open.push(typeof args[0] === 'string' ? args[0] : String((body as { name?: unknown }).name));
    try {
      Reflect.apply(body, {}, []);
    } finally {
      open.pop();
    }
  };
  const skip = (): void => {};
  const suite = Object.assign(describe, { skip, todo: skip });
  const api = Object.assign(test, { skip, todo: skip, it: test, describe: suite, suite, test });

  interface Timer {
    readonly id: number;
    readonly at: number;
    readonly run: () => void;
  }
  let timers: Timer[] = [];
  let virtualNow = 0;
  let nextId = 1;
  const later = (body: unknown, delay: unknown, args: readonly unknown[], again: boolean, id = nextId++): number => {
    if (typeof body !== 'function') throw new TypeError('a timer needs a function');
    const wait = Math.max(1, Number(delay) || 0);
    const run = (): void => {
      if (again) later(body, delay, args, true, id);
      Reflect.apply(body, undefined, args);
    };
    timers.push({ id, at: virtualNow + wait, run });
    return id;
  };
  const cancel = (id: unknown): void => {
    timers = timers.filter((timer) => timer.id !== id);
  };
  const soon = (body: unknown, ...args: unknown[]): void => {
    if (typeof body !== 'function') throw new TypeError('queueMicrotask needs a function');
    Promise.resolve()
      .then(() => Reflect.apply(body, undefined, args))
      .catch(threw);
  };

  return {
    api,
    record,
    timers: {
      setTimeout: (body: unknown, delay?: unknown, ...args: unknown[]) => later(body, delay, args, false),
      setInterval: (body: unknown, delay?: unknown, ...args: unknown[]) => later(body, delay, args, true),
      setImmediate: (body: unknown, ...args: unknown[]) => later(body, 0, args, false),
      clearTimeout: cancel,
      clearInterval: cancel,
      clearImmediate: cancel,
      queueMicrotask: soon,
    },
    seal: () => {
      sealed = true;
    },
    count: () => entries.length,
    title: (index) => entries[index]?.title ?? '',
    start(index) {
      failure = '';
      made = 0;
      held = 0;
      settled = false;
      const entry = entries[index];
      if (entry === undefined || typeof entry.body !== 'function') return;
      const context = Object.freeze({ name: entry.title, diagnostic: () => {} });
      let result: unknown;
      try {
        result = Reflect.apply(entry.body, undefined, [context]);
      } catch (thrown) {
        threw(thrown);
      }
      if ((typeof result !== 'object' && typeof result !== 'function') || result === null) {
        settled = true;
        return;
      }
      const end = (): void => {
        settled = true;
      };
      new Promise((resolve) => resolve(result)).catch(threw).then(end);
    },
    fire() {
      const first = timers.reduce<Timer | null>((a, b) => (a === null || b.at < a.at ? b : a), null);
      if (first === null) return false;
      timers = timers.filter((timer) => timer !== first);
      virtualNow = first.at;
      try {
        first.run();
      } catch (thrown) {
        threw(thrown);
      }
      return true;
    },
    settled: () => settled,
    failure: () => {
      if (failure !== '') return failure;
      if (!settled) return 'its promise never settles';
      if (made !== held) return 'an assertion was cut short';
      return made === 0 ? 'it makes no assertion' : '';
    },
  };
}
