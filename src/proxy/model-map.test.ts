import { describe, expect, it } from 'vitest';
import { ModelMap } from './model-map.ts';

const kindOf = (map: ModelMap) => (name: string) => map.get(name).to;

describe('a model map', () => {
  it('takes every name for the policy unless it is told otherwise', () => {
    const open = ModelMap.of(['gpt-0=refuse', 'a=b=policy', 'title=untrained']);
    expect(['gpt-0', 'gpt-1', 'a=b'].map(kindOf(open))).toEqual(['refuse', 'policy', 'policy']);
    expect(['gpt-1', 'title'].map((name) => open.get(name))).toEqual([
      { to: 'policy', trainable: true },
      { to: 'policy', trainable: false },
    ]);
    const closed = ModelMap.of(['policy=policy', '*=refuse']);
    expect(['policy', 'gpt-1'].map(kindOf(closed))).toEqual(['policy', 'refuse']);
    expect(['seedling', 'gpt-1'].map(kindOf(ModelMap.only('seedling')))).toEqual(['policy', 'refuse']);
  });

  it('sends a name elsewhere, under the same or another name', () => {
    const map = ModelMap.of(['small=https://api.example.com/api/v1', 'q=http://127.0.0.1:8000/v1#Qwen/Qwen3-4B']);
    expect(map.get('small')).toMatchObject({
      model: null,
      upstream: { origin: 'https://api.example.com', base: '/api' },
    });
    expect(map.get('q')).toMatchObject({ to: 'upstream', model: 'Qwen/Qwen3-4B', upstream: { base: '' } });
  });

  it.each([
    ['a=upstream', '--model-map a=upstream: write it as'],
    ['=policy', 'write it as'],
    ['a=http://user:secret@host/v1', 'it may not carry a password'],
  ])('says what is wrong with %s', (entry, says) => {
    expect(() => ModelMap.of([entry])).toThrow(says);
    expect(() => ModelMap.of([entry])).toThrow(/^--model-map /);
  });

  it('can be narrowed for a session, to the upstreams that it has', () => {
    const map = ModelMap.of(['a=http://127.0.0.1:8000/v1', 'b=refuse']);
    const narrowed = map.with(['b=http://127.0.0.1:8000/v1#x', 'c=refuse']);
    expect(['a', 'b', 'c', 'd'].map(kindOf(narrowed))).toEqual(['upstream', 'upstream', 'refuse', 'policy']);
    expect(() => map.with(['a=http://127.0.0.1:8001/v1'])).toThrow(
      'http://127.0.0.1:8001/v1 is no upstream of this server',
    );
  });
});
