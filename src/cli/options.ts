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
