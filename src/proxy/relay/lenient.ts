/**
 * Reads JSON of others without ever refusing it: what has another form than expected counts as not there.
 *
 * Not for requests that we answer (dialects/json-reader.ts): those are refused with the field's name.
 */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

/** A string, or the parts of one; a part that is no text is named in brackets. */
export function contentOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return listOf(value)
    .map((part) => {
      const { type, text, refusal } = fieldsOf(part);
      if (typeof text === 'string') return text;
      return typeof refusal === 'string' ? refusal : `[${textOf(type) || 'part'}]`;
    })
    .join('\n');
}

/** Arguments of a call as text. */
export function argumentsOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? {});
}

/** What is left of a body without some of its fields. */
export function without(body: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));
}

/** Parsed JSON, or null. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
