import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AccessKey, checkOrigin, newKey, servedNames } from './access.ts';

describe('a key', () => {
  it.each([
    ['16 random bytes in hexadecimal', randomBytes(16).toString('hex')],
    ['16 random bytes in base64url', randomBytes(16).toString('base64url')],
    ['one that was made here', newKey()],
  ])('of %s is taken and recognized', (_, key) => {
    const access = AccessKey.of(key, '--key');
    expect(access.matches(key)).toBe(true);
    expect(access.matches(`${key}x`)).toBe(false);
    expect(access.matches(null)).toBe(false);
    expect(JSON.stringify(access)).not.toContain(key);
  });

  it.each([
    ['', 'at most 0'],
    ['letmein', 'at most 36'],
    [randomBytes(15).toString('hex'), 'at most 120'],
    ['1234567890'.repeat(3), 'at most 99'],
    ['ab'.repeat(40), 'at least 128 random bits'],
    ['a key with spaces in it, which no header takes', 'printable ASCII'],
  ])('such as %j is refused, and not shown', (key, says) => {
    const refused = () => AccessKey.of(key, '--key');
    expect(refused).toThrow(says);
    expect(refused).toThrow(/^--key: /);
    if (key !== '') expect(refused).not.toThrow(key);
  });
});

describe('an origin', () => {
  const hosts = servedNames('::1', ['box.example']);
  it.each([undefined, 'http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080', 'https://BOX.example'])(
    '%s may speak to the proxy',
    (origin) => expect(() => checkOrigin(origin, hosts)).not.toThrow(),
  );
  it.each(['null', 'https://page.example', 'http://localhost.page.example', 'box.example', ''])(
    '%j may not',
    (origin) => expect(() => checkOrigin(origin, hosts)).toThrow('may not use the proxy'),
  );
});
