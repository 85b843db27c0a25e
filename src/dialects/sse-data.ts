/**
 * Server-sent events, the reading side of a stream that is still open: each `data` line as it becomes whole.
 *
 * Not covered: events of several `data` lines, which no engine's server sends (JSON has no line breaks); names and ids.
 */
export async function* sseData(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim();
  }
}
