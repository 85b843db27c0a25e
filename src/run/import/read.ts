/** Conversations from files: chat JSONL, ATIF documents, or lines of them. What a value is, it says itself. */
import { readdirSync, statSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EspalierError, messageOf } from '../../core/errors.ts';
import { atifConversations } from './atif-conversations.ts';
import { chatConversation } from './chat-lines.ts';
import type { Conversation } from './conversation.ts';

/**
 * `path`: a `.jsonl` file, a `.json` file with one value, or a folder of such files, which are read in the order of
 * their names. Throws EspalierError('config') that names file, line and field.
 */
export async function* readConversations(path: string): AsyncGenerator<Conversation> {
  for (const file of filesAt(path)) {
    if (file.endsWith('.jsonl')) yield* readLines(file);
    else yield* conversationsOf(await readFile(file, 'utf8'), file);
  }
}

async function* readLines(file: string): AsyncGenerator<Conversation> {
  await using handle = await open(file);
  let line = 0;
  for await (const text of handle.readLines()) {
    line++;
    if (text.trim() !== '') yield* conversationsOf(text, `${file} line ${line}`);
  }
}

function conversationsOf(text: string, where: string): Conversation[] {
  try {
    const value: unknown = JSON.parse(text);
    const atif = typeof value === 'object' && value !== null && 'schema_version' in value;
    return atif ? atifConversations(value) : [chatConversation(value)];
  } catch (cause) {
    throw new EspalierError('config', `${where}: ${problem(cause)}`, { cause });
  }
}

function problem(cause: unknown): string {
  if (cause instanceof SyntaxError) return 'not JSON';
  if (!(cause instanceof z.ZodError)) return messageOf(cause);
  const [first] = cause.issues;
  const at = first?.path.join('.') ?? '';
  const more = cause.issues.length > 1 ? ` (and ${cause.issues.length - 1} more)` : '';
  return `${at === '' ? 'the conversation' : at}: ${first?.message ?? 'cannot be read'}${more}`;
}

function filesAt(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => /\.jsonl?$/.test(name));
    return names.sort().map((name) => join(path, name));
  } catch (cause) {
    throw new EspalierError('config', `cannot read ${path} (${messageOf(cause)}): name a .jsonl or .json file`, {
      cause,
    });
  }
}
