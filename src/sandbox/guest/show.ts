/**
 * Guest code: prints values and errors on one short line for a reader with little context.
 *
 * Getters are not called. A value whose traps throw prints as its kind.
 */
export interface Show {
  /** At most about `room` characters. */
  value(value: unknown, room: number): string;
  /** `TypeError: message`, with the first line of the tree that it names: `at src/order.js:7`. */
  error(thrown: unknown, room: number): string;
}

export function makeShow(): Show {
  const cut = (text: string, room: number): string => {
    const line = text.replace(/\s+/g, ' ').trim();
    return line.length > room ? `${line.slice(0, room - 3)}...` : line;
  };

  const quote = (text: string): string => {
    const quoted = JSON.stringify(text.length > 200 ? text.slice(0, 200) : text);
    return text.includes("'") ? quoted : `'${quoted.slice(1, -1).replaceAll('\\"', '"')}'`;
  };

  const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name));

  const members = (value: object, depth: number): string[] => {
    const parts: string[] = [];
    for (const name of Object.keys(value)) {
      if (parts.length === 8) {
        parts.push('...');
        break;
      }
      const property = Object.getOwnPropertyDescriptor(value, name);
      parts.push(
        `${key(name)}: ${property !== undefined && 'value' in property ? print(property.value, depth - 1) : '[getter]'}`,
      );
    }
    return parts;
  };

  const items = (list: readonly unknown[], depth: number): string[] => {
    const parts: string[] = [];
    for (let i = 0; i < list.length && i < 16; i++) parts.push(i in list ? print(list[i], depth - 1) : '');
    if (list.length > 16) parts.push('...');
    return parts;
  };

  const wrap = (open: string, parts: readonly string[], close: string): string =>
    parts.length === 0 ? `${open}${close}` : `${open} ${parts.join(', ')} ${close}`;

  const printObject = (value: object, depth: number): string => {
    if (Array.isArray(value)) return depth <= 0 ? '[...]' : `[${items(value, depth).join(', ')}]`;
    if (value instanceof Error) return errorLine(value);
    if (value instanceof RegExp) return RegExp.prototype.toString.call(value);
    if (value instanceof Date) {
      const time = Date.prototype.getTime.call(value);
      return Number.isNaN(time) ? 'Invalid Date' : Date.prototype.toISOString.call(value);
    }
    if (depth <= 0) return '{...}';
    if (value instanceof Map) {
      const entries = [...Map.prototype.entries.call(value)].slice(0, 8);
      return wrap(
        'Map {',
        entries.map(([name, item]) => `${print(name, depth - 1)} => ${print(item, depth - 1)}`),
        '}',
      );
    }
    if (value instanceof Set) return wrap('Set {', items([...Set.prototype.values.call(value)], depth), '}');
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || prototype === Object.prototype) return wrap('{', members(value, depth), '}');
    const maker: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    const name = typeof maker === 'function' ? Object.getOwnPropertyDescriptor(maker, 'name')?.value : undefined;
    return wrap(`${typeof name === 'string' ? name : 'Object'} {`, members(value, depth), '}');
  };

  const print = (value: unknown, depth: number): string => {
    if (typeof value === 'string') return quote(value);
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'symbol') return value.toString();
    if (Object.is(value, -0)) return '-0';
    if (typeof value === 'function') return '[Function]';
    if (typeof value !== 'object' || value === null) return String(value);
    return printObject(value, depth);
  };

  const text = (value: unknown): string => (typeof value === 'string' ? value : '');

  const errorLine = (error: Error): string => {
    const name = text(error.name) || 'Error';
    const message = text(error.message);
    return message === '' ? name : `${name}: ${message}`;
  };

  const safely = (print: () => string, otherwise: string): string => {
    try {
      return print();
    } catch {
      return otherwise;
    }
  };

  return {
    value: (value, room) =>
      cut(
        safely(() => print(value, 4), typeof value === 'function' ? '[Function]' : '[Object]'),
        room,
      ),
    error(thrown, room) {
      if (!(thrown instanceof Error))
        return cut(
          safely(() => print(thrown, 2), '[Object]'),
          room,
        );
      const line = cut(
        safely(() => errorLine(thrown), 'Error'),
        room,
      );
      const place = safely(() => /([\w./@-]+\.[cm]?js):(\d+)/.exec(text(thrown.stack))?.slice(1).join(':') ?? '', '');
      return place === '' ? line : `${line} at ${place}`;
    },
  };
}
