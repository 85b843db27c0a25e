import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAtStop, StopStream } from './stop-strings.ts';

describe('stop strings', () => {
  test('cut before the one that is complete first', () => {
    expect(cutAtStop('one, two; three', [';', 'two; th'])).toEqual({ text: 'one, two', stop: ';' });
    expect(cutAtStop('aXYb', ['Y', 'XY'])).toEqual({ text: 'a', stop: 'XY' });
    expect(cutAtStop('nothing', ['Z'])).toEqual({ text: 'nothing', stop: null });
  });

  test('in a stream show what the whole text shows, however it is cut', () => {
    const letters = fc.constantFrom('a', 'b', 'c');
    const text = fc.array(letters, { maxLength: 24 }).map((all) => all.join(''));
    const stops = fc.array(
      fc.array(letters, { minLength: 1, maxLength: 4 }).map((all) => all.join('')),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), stops, (pieces, stopStrings) => {
        const stream = new StopStream(stopStrings);
        let shown = '';
        let read = '';
        for (const piece of pieces) {
          // A sampler gives tokens; here each letter is one, as the first complete stop string ends the completion.
          for (const letter of piece) {
            shown += stream.push(letter);
            read += letter;
            if (stream.found !== null) break;
          }
          if (stream.found !== null) break;
        }
        const whole = cutAtStop(pieces.join(''), stopStrings);
        expect(stream.found).toBe(whole.stop);
        if (whole.stop === null) expect(whole.text.startsWith(shown)).toBe(true);
        else expect(shown).toBe(whole.text);
        expect(cutAtStop(read, stopStrings)).toEqual(whole);
      }),
    );
  });
});
