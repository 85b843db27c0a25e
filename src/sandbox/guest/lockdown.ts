/**
 * Guest code: makes the realm deterministic and immutable before any code under test is evaluated.
 *
 * Every function in this folder is evaluated from its own text inside the sandbox, so it may name nothing from outside
 * its braces but standard globals and its parameters.
 *
 * Invariants after `lock()`:
 * 1. Every intrinsic that code can reach is frozen, and no global of the standard can be rebound.
 * 2. No clock and no entropy: `Date` stands still, `Math.random` is a fixed sequence.
 * 3. Assigning an own property whose name a frozen prototype holds still works for the names that programs do assign
 *    (`toString`, `name`, `message`, ...): those are accessors that define the property on the receiver.
 */

/** Stops time at once; `lock` freezes the realm and what else user code is given, and is the last step. */
export function lockdown(now: number): { lock(given: unknown): void } {
  const frozen = new Set<unknown>([globalThis]);

  const harden = (root: unknown): void => {
    const queue: unknown[] = [root];
    for (let value = queue.pop(); value !== undefined || queue.length > 0; value = queue.pop()) {
      if ((typeof value !== 'object' && typeof value !== 'function') || value === null || frozen.has(value)) continue;
      frozen.add(value);
      queue.push(Object.getPrototypeOf(value));
      for (const key of Reflect.ownKeys(value)) {
        const property = Object.getOwnPropertyDescriptor(value, key);
        if (property !== undefined) queue.push(property.value, property.get, property.set);
      }
      Object.freeze(value);
    }
  };

  const standTimeStill = (): void => {
    const Native = Date;
    const Still = function (...parts: unknown[]): unknown {
      if (new.target === undefined) return new Native(now).toString();
      return Reflect.construct(Native, parts.length === 0 ? [now] : parts, new.target);
    };
    Still.prototype = Native.prototype;
    Object.defineProperties(Still, {
      name: { value: 'Date' },
      length: { value: 7 },
      now: { value: () => now },
      parse: { value: Native.parse },
      UTC: { value: Native.UTC },
    });
    Object.defineProperty(Native.prototype, 'constructor', { value: Still });
    Object.defineProperty(globalThis, 'Date', { value: Still });
    let state = 0x2545f491;
    const random = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 4294967296;
    };
    Object.defineProperty(Math, 'random', { value: random });
    for (const name of ['SharedArrayBuffer', 'Atomics', 'WeakRef', 'FinalizationRegistry', 'performance']) {
      Reflect.deleteProperty(globalThis, name);
    }
  };

  /** Invariant 3. */
  const allowOwn = (prototype: object, names: readonly PropertyKey[]): void => {
    for (const name of names) {
      const property = Object.getOwnPropertyDescriptor(prototype, name);
      if (property === undefined || !('value' in property) || property.configurable !== true) continue;
      const original: unknown = property.value;
      Object.defineProperty(prototype, name, {
        enumerable: false,
        configurable: false,
        get: () => original,
        set(this: unknown, value: unknown) {
          if (this === prototype || (typeof this !== 'object' && typeof this !== 'function') || this === null) {
            throw new TypeError(`'${String(name)}' is read-only`);
          }
          Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
        },
      });
    }
  };

  const lock = (given: unknown): void => {
    const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError];
    for (const kind of errors) allowOwn(kind.prototype, ['name', 'message', 'constructor', 'toString']);
    allowOwn(
      Object.prototype,
      Reflect.ownKeys(Object.prototype).filter((name) => name !== '__proto__'),
    );
    allowOwn(Function.prototype, ['toString', 'constructor']);
    const generator = function* (): Generator {};
    const asyncGenerator = async function* (): AsyncGenerator {};
    const makers = (
      globalThis as { Iterator?: { from(source: object): { map(by: (item: unknown) => unknown): object } } }
    ).Iterator;
    const wrapped = makers?.from({ next: () => ({ done: true, value: undefined }) });
    const helpers = [wrapped, wrapped?.map((item) => item)];
    const hidden: unknown[] = [
      given,
      generator,
      generator(),
      asyncGenerator,
      asyncGenerator(),
      async () => {},
      [][Symbol.iterator](),
      new Map()[Symbol.iterator](),
      new Set()[Symbol.iterator](),
      ''[Symbol.iterator](),
      'a'.matchAll(/a/g),
      ...helpers,
      Object.getOwnPropertyDescriptor(Function.prototype, 'caller')?.get,
    ];
    for (const key of Reflect.ownKeys(globalThis)) {
      const property = Object.getOwnPropertyDescriptor(globalThis, key);
      if (property === undefined) continue;
      harden(property.value);
      harden(property.get);
      harden(property.set);
      if (property.configurable !== true) continue;
      Object.defineProperty(
        globalThis,
        key,
        'value' in property ? { writable: false, configurable: false } : { configurable: false },
      );
    }
    for (const value of hidden) harden(value);
  };

  standTimeStill();
  return { lock };
}
