/** Server-sent events, the reading side: a whole stream's text to the JSON of its events, in order. */
import { type Fields, fieldsOf, jsonOf } from './lenient.ts';

/** Events without JSON data (comments, `[DONE]`) are left out. A last event without its empty line is none. */
export function readEvents(stream: string): Fields[] {
  const lines = stream.split(/\r\n|\n|\r/);
  const events: Fields[] = [];
  let data: string[] = [];
  for (const line of lines) {
    if (line === '') {
      const value = data.length === 0 ? null : jsonOf(data.join('\n'));
      if (value !== null) events.push(fieldsOf(value));
      data = [];
    } else if (line.startsWith('data:')) {
      data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
  return events;
}
