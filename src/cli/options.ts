/** Parsers of option values. */
import { InvalidArgumentError } from 'commander';

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number from 0 is needed.');
  return value;
}

/** Gathers a repeated option. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

export function nonNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('a number from 0 is needed.');
  }
  return value;
}

const hourMs = 3_600_000;
const units = { h: hourMs, d: 24 * hourMs, w: 7 * 24 * hourMs } as const;

/** Milliseconds of `12h`, `30d` or `4w`. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([hdw])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('a time such as 12h, 30d or 4w is needed.');
  return Number(match[1]) * units[match[2] as keyof typeof units];
}

/** Bytes of `500000`, `500MiB` or `10GiB`. */
export function byteSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB|TiB)?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('a size such as 500MiB or 10GiB is needed.');
  const power = match[2] === undefined ? 0 : 1 + ['KiB', 'MiB', 'GiB', 'TiB'].indexOf(match[2]);
  return Number(match[1]) * 1024 ** power;
}

export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('a number from 0 to 1 is needed.');
  return value;
}
