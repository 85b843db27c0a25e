/**
 * Guest code: CommonJS over the mounted tree, the globals that Node adds, and the table that the host calls.
 *
 * A test file may be loaded by the host only, and only test files are given `node:test` and the counted `assert`.
 */
import type { Registry } from './registry.ts';
import type { Show } from './show.ts';

export interface HostCalls {
  /** The function of a CommonJS wrapper around the file's text. Throws what the parser throws. */
  compile(path: string): unknown;
  /** Ends the run at the next interrupt; the reason is the host's. */
  halt(): void;
}

/** `tested` is what test files may import by name, `plain` what other files may. */
export interface Builtins {
  readonly tested: Readonly<Record<string, unknown>>;
  readonly plain: Readonly<Record<string, unknown>>;
}

export interface GuestTable {
  /** JSON of path -> text, and JSON of the paths of test files. */
  mount(files: string, tests: string): void;
  /** Loads a CommonJS file; '' or why it could not. */
  load(path: string): string;
  /** One line about a value that the host caught. */
  describe(thrown: unknown): string;
}

export function makeModules(host: HostCalls, builtins: Builtins, registry: Registry, show: Show): GuestTable {
  interface Module {
    exports: unknown;
    readonly id: string;
    readonly filename: string;
  }
  let files: Record<string, string> = {};
  let tests = new Set<string>();
  const cache = new Map<string, Module>();
  const has = (path: string): boolean => Object.hasOwn(files, path);

  const join = (from: string, request: string): string => {
    const parts = from.split('/').slice(0, -1);
    for (const part of request.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '.' && part !== '') parts.push(part);
    }
    return parts.join('/');
  };
  const resolve = (from: string, request: string): string => {
    const base = join(from, request);
    for (const ending of ['', '.js', '.cjs', '.json', '/index.js']) if (has(base + ending)) return base + ending;
    if (base === '' && has('index.js')) return 'index.js';
    throw new Error(`Cannot find module '${request}'`);
  };

  const requireFrom =
    (from: string) =>
    (request: unknown): unknown => {
      if (typeof request !== 'string') throw new TypeError('require needs a string');
      if (!request.startsWith('.')) {
        const table = tests.has(from) ? builtins.tested : builtins.plain;
        if (!Object.hasOwn(table, request)) throw new Error(`Cannot find module '${request}'`);
        return table[request];
      }
      const path = resolve(from, request);
      if (tests.has(path)) throw new Error(`Cannot require the test file '${request}'`);
      return loadModule(path);
    };

  const loadModule = (path: string): unknown => {
    const known = cache.get(path);
    if (known !== undefined) return known.exports;
    const module: Module = { exports: {}, id: path, filename: path };
    cache.set(path, module);
    try {
      if (path.endsWith('.json')) {
        module.exports = JSON.parse(files[path] ?? '');
      } else {
        const body = host.compile(path);
        if (typeof body !== 'function') throw new SyntaxError(`${path} is not a module`);
        const folder = path.split('/').slice(0, -1).join('/');
        Reflect.apply(body, module.exports, [module.exports, requireFrom(path), module, path, folder]);
      }
    } catch (thrown) {
      cache.delete(path);
      throw thrown;
    }
    return module.exports;
  };

  const clone = (value: unknown): unknown => {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('the value cannot be cloned');
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(clone);
    if (value instanceof Date) return new Date(value.getTime());
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [clone(key), clone(item)]));
    if (value instanceof Set) return new Set([...value].map(clone));
    const copy: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      Object.defineProperty(copy, key, { value: clone(item), writable: true, enumerable: true, configurable: true });
    }
    return copy;
  };
  const quiet = (): void => {};
  const exit = (): void => {
    host.halt();
    for (;;);
  };
  const added: Record<string, unknown> = {
    ...registry.timers,
    global: globalThis,
    structuredClone: clone,
    console: { log: quiet, info: quiet, warn: quiet, error: quiet, debug: quiet, trace: quiet, table: quiet },
    process: { env: {}, argv: [], platform: 'linux', exit, abort: exit, nextTick: registry.timers.queueMicrotask },
  };
  for (const [name, value] of Object.entries(added)) {
    Object.defineProperty(globalThis, name, { value, enumerable: false, writable: true, configurable: true });
  }

  return {
    mount(text, testPaths) {
      files = JSON.parse(text);
      tests = new Set(JSON.parse(testPaths));
    },
    load(path) {
      try {
        loadModule(path);
        return '';
      } catch (thrown) {
        return show.error(thrown, 140);
      }
    },
    describe: (thrown) => show.error(thrown, 140),
  };
}
