/**
 * Well-known secrets in text: found by the forms that their makers gave them.
 *
 * Covered: keys and tokens with a fixed prefix, private key blocks, bearer tokens.
 * Not covered: passwords, keys without a form of their own, anything encoded, split or misspelled. A scan that finds
 * nothing proves nothing.
 *
 * Invariant: nothing that is returned here, thrown or printed, holds a secret.
 */

export interface SecretKind {
  readonly name: string;
  readonly pattern: RegExp;
}

/** A digit is asked for where plain words could follow the prefix: `sk-learn-compatible-estimators` is no key. */
export const secretKinds: readonly SecretKind[] = [
  {
    name: 'private key',
    pattern:
      /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|$)/g,
  },
  { name: 'Espalier session key', pattern: /\besp-[A-Za-z0-9_-]{43,}/g },
  { name: 'OpenAI or Anthropic key', pattern: /\bsk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}/g },
  { name: 'GitHub token', pattern: /\b(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})/g },
  { name: 'GitLab token', pattern: /\bglpat-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}/g },
  { name: 'AWS access key', pattern: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  { name: 'Google API key', pattern: /\bAIza[A-Za-z0-9_-]{35}/g },
  { name: 'Hugging Face token', pattern: /\bhf_[A-Za-z0-9]{30,}/g },
  { name: 'npm token', pattern: /\bnpm_[A-Za-z0-9]{36,}/g },
  { name: 'Slack token', pattern: /\bxox[abeoprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,}/g },
  { name: 'Stripe key', pattern: /\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}/g },
  { name: 'JSON web token', pattern: /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g },
  { name: 'bearer token', pattern: /\bBearer\s+(?=[A-Za-z._~+/-]*\d)[A-Za-z0-9._~+/-]{16,}=*/gi },
];

/** Names of the kinds of secrets in a text, in the order of the table. */
export function secretsIn(text: string): string[] {
  return secretKinds.filter(({ pattern }) => text.search(pattern) >= 0).map(({ name }) => name);
}

/** `[redacted: KIND]` in the place of each secret. */
export function redacted(text: string): string {
  return secretKinds.reduce((rest, { name, pattern }) => rest.replace(pattern, `[redacted: ${name}]`), text);
}

/** Kinds of secrets in any text of a JSON value, names of fields included. */
export function secretsInValue(value: unknown): string[] {
  const found = new Set<string>();
  visitTexts(value, (text) => {
    for (const name of secretsIn(text)) found.add(name);
  });
  return secretKinds.map(({ name }) => name).filter((name) => found.has(name));
}

/** A JSON value with every text in it redacted, names of fields included. */
export function redactedValue<T>(value: T): T {
  return redactTexts(value) as T;
}

function visitTexts(value: unknown, seen: (text: string) => void): void {
  if (typeof value === 'string') seen(value);
  else if (Array.isArray(value)) {
    for (const element of value) if (typeof element !== 'number') visitTexts(element, seen);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      seen(key);
      visitTexts(inner, seen);
    }
  }
}

function redactTexts(value: unknown): unknown {
  if (typeof value === 'string') return redacted(value);
  if (Array.isArray(value)) return value.map(redactTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [redacted(key), redactTexts(inner)]));
}
