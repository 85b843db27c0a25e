/** How decoding is timed, whoever decodes. */

/**
 * Tokens a second of all streams together. A stream says how many tokens it delivers at a time; only what arrives after
 * the first delivery of the last stream counts, so that prompts do not.
 */
export async function decodingRate(streams: readonly AsyncIterable<number>[]): Promise<number> {
  let waiting = streams.length;
  let begun = 0;
  let tokens = 0;
  await Promise.all(
    streams.map(async (stream) => {
      let isFirst = true;
      for await (const count of stream) {
        if (waiting === 0) {
          tokens += count;
        } else if (isFirst) {
          isFirst = false;
          waiting -= 1;
          if (waiting === 0) begun = performance.now();
        }
      }
    }),
  );
  return (1000 * tokens) / (performance.now() - begun);
}
