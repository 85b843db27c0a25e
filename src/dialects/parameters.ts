/**
 * What a dialect does with each parameter of a request: tables that the parser obeys and docs/dialects.md prints.
 *
 * Invariants:
 * 1. A parameter that is not in the table is refused, as the real API refuses it; so is a value of a type that it never has.
 * 2. Nothing that changes an answer is ignored: it is honored, or refused.
 * 3. null is "not given".
 */
import { isFlag, isNumber, isObject, isText, type JsonObject } from './json-reader.ts';
import type { Refusal } from './refusal.ts';

export interface Treatment {
  /** `recorded`: kept with the turn as a wish, without influence on the answer. `refused`: 400 when it is used. */
  readonly is: 'honored' | 'recorded' | 'refused';
  /** False for a value that is answered with 400; without it all values pass, or none of a refused one. */
  readonly accepts?: (value: unknown) => boolean;
  /** Goes on after the name of the parameter in the error, where that is not the note. */
  readonly must?: string;
}

export interface NotedTreatment extends Treatment {
  /** Says what is accepted, in the table. */
  readonly note: string;
}

export type ParameterTable<T extends Treatment = NotedTreatment> = Readonly<Record<string, T>>;

/** The words of a dialect. */
export interface ParameterRefusals<T extends Treatment = NotedTreatment> {
  unknown(name: string): Refusal;
  wrong(name: string, treatment: T): Refusal;
}

/** The recorded parameters as they were given. Throws Refusal, also what `accepts` throws to say more. */
export function readParameters<T extends Treatment>(
  body: JsonObject,
  table: ParameterTable<T>,
  refusals: ParameterRefusals<T>,
): Record<string, unknown> {
  const wishes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(table, name)) throw refusals.unknown(name);
    if (value === undefined || value === null) continue;
    const treatment = table[name] as T;
    const isAccepted = treatment.accepts?.(value) ?? treatment.is !== 'refused';
    if (!isAccepted) throw refusals.wrong(name, treatment);
    if (treatment.is === 'recorded') wishes[name] = value;
  }
  return wishes;
}

export const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** Of one type, and recorded. */
export const recorded = {
  number: { is: 'recorded', accepts: isNumber, must: 'must be a number' },
  text: { is: 'recorded', accepts: isText, must: 'must be a string' },
  flag: { is: 'recorded', accepts: isFlag, must: 'must be a boolean' },
  object: { is: 'recorded', accepts: isObject, must: 'must be an object' },
} as const;
