import { describe, expect, it } from 'vitest';
import { Copy, CopyBudget } from './copy.ts';
import { passed, upstreamOf } from './headers.ts';

describe('a head', () => {
  it('passes in its order and spelling, without what belongs to one connection', () => {
    const raw = [
      'X-B',
      '1',
      'Connection',
      'close, X-Hop',
      'x-hop',
      '2',
      'Transfer-Encoding',
      'chunked',
      'x-b',
      '3',
      'Host',
      'h',
    ];
    expect(passed(raw, new Set(['host']))).toEqual(['X-B', '1', 'x-b', '3']);
  });
});

describe('an upstream', () => {
  it.each([
    ['http://127.0.0.1:8000', 'http://127.0.0.1:8000', ''],
    ['http://127.0.0.1:8000/v1/', 'http://127.0.0.1:8000', ''],
    ['https://openrouter.ai/api/v1', 'https://openrouter.ai', '/api'],
    ['https://api.example.com/anthropic', 'https://api.example.com', '/anthropic'],
  ])('%s is %s, with %j before /v1', (text, origin, base) => {
    expect(upstreamOf(text)).toMatchObject({ origin, base });
  });
  it.each(['localhost:8000', 'ftp://x', '', 'http://a:secret@x/v1', 'http://x/v1?key=secret'])('is not %j', (text) => {
    expect(() => upstreamOf(text)).toThrow(/^--upstream /);
    if (text.includes('secret')) expect(() => upstreamOf(text)).not.toThrow('secret');
  });
});

describe('copies', () => {
  it('that do not fit are let go, and give back what they took', () => {
    const budget = new CopyBudget(10);
    const [a, b] = [new Copy(budget, 8), new Copy(budget, 8)];
    a.add(Buffer.from('12345678'));
    b.add(Buffer.from('123'));
    expect([a.bytes()?.length, b.bytes()]).toEqual([8, null]);
    a.add(Buffer.from('9'));
    expect(a.bytes()).toBeNull();
    expect(budget.take(10)).toBe(true);
  });
});
