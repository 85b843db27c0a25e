/** Reads request JSON field by field; what does not fit is a Refusal that names the field, as the real APIs do. */
import { Refusal } from './refusal.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function invalid(param: string, message: string, code?: string): Refusal {
  return new Refusal(400, message, { param, ...(code !== undefined && { code }) });
}

export function objectAt(value: unknown, param: string): JsonObject {
  if (!isObject(value)) throw invalid(param, `Invalid type for '${param}': expected an object.`, 'invalid_type');
  return value;
}

export function listAt(value: unknown, param: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(param, `Invalid type for '${param}': expected an array.`, 'invalid_type');
  return value;
}

export function textAt(value: unknown, param: string): string {
  if (value === undefined) throw missing(param);
  if (typeof value !== 'string') {
    throw invalid(param, `Invalid type for '${param}': expected a string.`, 'invalid_type');
  }
  return value;
}

export function missing(param: string): Refusal {
  return invalid(param, `Missing required parameter: '${param}'.`, 'missing_required_parameter');
}

export const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
export const isText = (value: unknown): boolean => typeof value === 'string';
export const isFlag = (value: unknown): boolean => typeof value === 'boolean';
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The `type` of a part for an error: any JSON may stand there, and `String()` throws at some of it. */
export function shownKind(value: unknown): string {
  return typeof value === 'string' ? value : `${JSON.stringify(value)}`;
}

/** A whole number from `least`, or null when it is not given. */
export function wholeAt(value: unknown, param: string, least: number): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw invalid(
      param,
      `Invalid value for '${param}': expected a whole number of at least ${least}.`,
      'invalid_value',
    );
  }
  return value;
}

/** A list of at most `most` strings, none of them empty; none when it is not given. */
export function stopStringsAt(value: unknown, param: string, most: number): readonly string[] {
  if (value === undefined || value === null) return [];
  const strings = listAt(value, param).map((each, index) => textAt(each, `${param}[${index}]`));
  if (strings.length > most) {
    throw invalid(
      param,
      `Invalid '${param}': at most ${most} strings, not ${strings.length}.`,
      'array_above_max_length',
    );
  }
  if (strings.includes('')) throw invalid(param, `Invalid '${param}': an empty string.`, 'empty_string');
  return strings;
}
