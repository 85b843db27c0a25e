import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redacted, redactedValue, secretKinds, secretsIn, secretsInValue } from './secrets.ts';

// Put together here, so that no scanner of this repository takes the examples for real ones.
const examples: Readonly<Record<string, string>> = {
  'private key': `-----BEGIN RSA ${'PRIVATE KEY'}-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----`,
  'Espalier session key': `esp-${'aB3_'.repeat(11)}`,
  'OpenAI or Anthropic key': `sk-${'ant-api03-'}${'aB3-'.repeat(10)}`,
  'GitHub token': `ghp_${'aB3d'.repeat(9)}`,
  'GitLab token': `glpat-${'aB3d'.repeat(5)}`,
  'AWS access key': `AKIA${'ABCD1234'.repeat(2)}`,
  'Google API key': `AIza${'aB3d5'.repeat(7)}`,
  'Hugging Face token': `hf_${'aB3d'.repeat(9)}`,
  'npm token': `npm_${'aB3d'.repeat(9)}`,
  'Slack token': `xoxb-${'123456789012-'}abcdef`,
  'Stripe key': `sk_live_${'aB3d'.repeat(6)}`,
  'JSON web token': ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiIxMjM0NSJ9', 'SflKxwRJSMeKKF2QT4fw'].join('.'),
  'bearer token': `Authorization: Bearer ${'aB3d'.repeat(6)}`,
};

describe('secrets', () => {
  it('have an example each', () => {
    expect(Object.keys(examples)).toEqual(secretKinds.map(({ name }) => name));
  });

  it.each(Object.entries(examples))('of the kind %s are found and replaced, wherever they stand', (kind, secret) => {
    const around = fc.string({ maxLength: 20 }).map((text) => text.replaceAll('-', '').replaceAll('_', ''));
    fc.assert(
      fc.property(around, around, (before, after) => {
        const text = `${before} ${secret}\n${after}`;
        expect(secretsIn(text)).toContain(kind);
        const safe = redacted(text);
        expect(secretsIn(safe)).toEqual([]);
        expect(safe).toContain(`[redacted: ${kind}]`);
        expect(safe).not.toContain(secret.slice(-12));
      }),
      { numRuns: 20 },
    );
  });

  it('are not seen in plain text', () => {
    const plain = [
      'sk-learn-compatible-estimators and risk-1-management-of-things-and-more',
      'Bearer authentication-is-described-below',
      'AKIA is how an access key of AWS begins; ghp_ one of GitHub',
      '-----BEGIN PUBLIC KEY-----',
      'Bearer <the-token-that-you-got-1>',
    ];
    expect(plain.flatMap(secretsIn)).toEqual([]);
  });

  it('are found in the depth of a value, in names of fields, too, and nothing else changes', () => {
    const secret = examples['GitHub token'] as string;
    const value = { a: [1, { b: `x ${secret}`, [secret]: null }], ids: [1, 2], c: true };
    expect(secretsInValue(value)).toEqual(['GitHub token']);
    expect(redactedValue(value)).toEqual({
      a: [1, { b: 'x [redacted: GitHub token]', '[redacted: GitHub token]': null }],
      ids: [1, 2],
      c: true,
    });
  });

  it('of a key block without its end are taken to the end of the text', () => {
    expect(redacted(`a -----BEGIN ${'PRIVATE KEY'}-----\nMIIE`)).toBe('a [redacted: private key]');
  });
});
