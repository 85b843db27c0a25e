/**
 * Guest code: `deepEqual` and `deepStrictEqual`.
 *
 * What is compared is decided by `expected`, which the test made; `actual` comes from the code under test and may be a
 * proxy or carry getters, which learn nothing of `expected`. Primitives compare by `Object.is` (strict) or `==` (loose),
 * and a primitive never equals an object, whatever `valueOf` says.
 */
export type Equality = (actual: unknown, expected: unknown, strict: boolean) => boolean;

export function makeEquality(): Equality {
  const isObject = (value: unknown): value is object =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';

  /** `==` of two primitives. */
  const loosely = (a: unknown, b: unknown): boolean => {
    if (a === b) return true;
    if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null);
    if (typeof a === typeof b || typeof a === 'symbol' || typeof b === 'symbol') return false;
    return Number(a) === Number(b);
  };

  /** The internal slot that a value has, by methods that throw for any other receiver. */
  const kindOf = (value: object): string => {
    if (Array.isArray(value)) return 'array';
    if (typeof value === 'function') return 'function';
    const probes: readonly (readonly [string, () => unknown])[] = [
      ['map', () => Map.prototype.has.call(value as Map<unknown, unknown>, 0)],
      ['set', () => Set.prototype.has.call(value as Set<unknown>, 0)],
      ['date', () => Date.prototype.getTime.call(value)],
      ['number', () => Number.prototype.valueOf.call(value)],
      ['string', () => String.prototype.valueOf.call(value)],
      ['boolean', () => Boolean.prototype.valueOf.call(value)],
    ];
    for (const [kind, probe] of probes) {
      try {
        probe();
        return kind;
      } catch {
        // Not of this kind.
      }
    }
    if (value instanceof RegExp) return 'regexp';
    if (value instanceof Error) return 'error';
    return ArrayBuffer.isView(value) ? 'view' : 'plain';
  };

  const plain = (value: object): boolean => {
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
  };

  const keysOf = (value: object, strict: boolean): PropertyKey[] => {
    const keys: PropertyKey[] = Object.keys(value);
    if (!strict) return keys;
    const symbols = Object.getOwnPropertySymbols(value);
    return keys.concat(symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)));
  };

  const slots: Record<string, (a: object, b: object, same: (a: unknown, b: unknown) => boolean) => boolean> = {
    map: (a, b, same) => {
      const left = [...Map.prototype.entries.call(a as Map<unknown, unknown>)];
      const right = [...Map.prototype.entries.call(b as Map<unknown, unknown>)];
      return sameItems(left, right, same);
    },
    set: (a, b, same) =>
      sameItems(
        [...Set.prototype.values.call(a as Set<unknown>)],
        [...Set.prototype.values.call(b as Set<unknown>)],
        same,
      ),
    date: (a, b) => Object.is(Date.prototype.getTime.call(a), Date.prototype.getTime.call(b)),
    number: (a, b) => Object.is(Number.prototype.valueOf.call(a), Number.prototype.valueOf.call(b)),
    string: (a, b) => String.prototype.valueOf.call(a) === String.prototype.valueOf.call(b),
    boolean: (a, b) => Boolean.prototype.valueOf.call(a) === Boolean.prototype.valueOf.call(b),
    regexp: (a, b) => RegExp.prototype.toString.call(a) === RegExp.prototype.toString.call(b),
    error: (a, b) => (a as Error).name === (b as Error).name && (a as Error).message === (b as Error).message,
  };

  /** Every item of one list has its own equal in the other, in any order. */
  const sameItems = (
    a: readonly unknown[],
    b: readonly unknown[],
    same: (a: unknown, b: unknown) => boolean,
  ): boolean => {
    if (a.length !== b.length) return false;
    const left = [...a];
    return b.every((item) => {
      const at = left.findIndex((candidate) => same(candidate, item));
      if (at >= 0) left.splice(at, 1);
      return at >= 0;
    });
  };

  const compare = (actual: unknown, expected: unknown, strict: boolean, open: readonly unknown[]): boolean => {
    if (Object.is(actual, expected)) return true;
    if (!isObject(actual) || !isObject(expected)) {
      return !isObject(actual) && !isObject(expected) && !strict && loosely(actual, expected);
    }
    if (strict && Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return false;
    const bothPlain = plain(actual) && plain(expected);
    const kind = bothPlain ? 'plain' : kindOf(expected);
    if (kind === 'function' || (!bothPlain && kindOf(actual) !== kind)) return false;
    for (let i = 0; i < open.length; i += 2) if (open[i] === actual && open[i + 1] === expected) return true;
    const inside = [...open, actual, expected];
    const same = (a: unknown, b: unknown): boolean => compare(a, b, strict, inside);
    if (kind === 'array' && (actual as unknown[]).length !== (expected as unknown[]).length) return false;
    if (slots[kind]?.(actual, expected, same) === false) return false;
    const keys = keysOf(expected, strict);
    if (keysOf(actual, strict).length !== keys.length) return false;
    return keys.every((key) => {
      if (!Object.prototype.propertyIsEnumerable.call(actual, key)) return false;
      return same(Reflect.get(actual, key), Reflect.get(expected, key));
    });
  };

  return (actual, expected, strict) => compare(actual, expected, strict, []);
}
