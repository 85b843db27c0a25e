import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ContentStream } from '../tokens/content-stream.ts';
import { parseCompletion } from '../tokens/tool-calls.ts';
import { ThinkingStream } from './thinking-stream.ts';

it('gives a beginning of the thinking, and all of it before any content, however the text was cut', () => {
  const piece = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('<think>', '</think>', '<', '</th', '\n', ' a '));
  fc.assert(
    fc.property(fc.array(piece), fc.boolean(), (pieces, inThinking) => {
      const thinking = new ThinkingStream(inThinking);
      const content = new ContentStream(inThinking);
      const whole = parseCompletion(pieces.join(''), inThinking);
      let thought = '';
      for (const given of pieces) {
        thought += thinking.push(given);
        if (content.push(given) !== '') expect(thought).toBe(whole.thinking);
      }
      expect(whole.thinking.startsWith(thought)).toBe(true);
    }),
  );
});

it('shows thinking as it grows', () => {
  const thinking = new ThinkingStream(false);
  expect(
    ['\n<thi', 'nk>\n', 'Which', ' file? ', '<', ' 3 </th', 'ink>\n\n', 'This.'].map((p) => thinking.push(p)),
  ).toEqual(['', '', 'Which', ' file?', '', ' < 3', '', '']);
});
