/** What the expert can tell from a conversation: which files it read, how they stand now, what the tests said. */
import type { Message, ToolCall } from '../../core/message.ts';
import type { FileTruth, Truth } from './truth.ts';

/** Arguments of the built-in tools. */
export interface ToolArguments {
  readonly path?: string;
  readonly line?: number;
  readonly new?: string;
}

export interface SeenAction {
  readonly tool: string;
  readonly args: ToolArguments;
}

export interface Situation {
  /** Assistant turns so far. */
  readonly turns: number;
  readonly edits: number;
  readonly tested: boolean;
  /** The tests ran and passed, and nothing was edited since. */
  readonly testsPass: boolean;
  /** Titles of the failures that the last run showed. */
  readonly failing: ReadonlySet<string>;
  /** Lines of the files that were read, as they stand now. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly lastActions: readonly SeenAction[];
  /** The last call was refused. */
  readonly lastFailed: boolean;
  readonly lastRead: readonly string[];
  linesOf(file: FileTruth): readonly string[];
  /** Lines, from 0, that are not as they should be. */
  wrongLines(file: FileTruth): readonly number[];
  /** Lines that were right at first and are wrong by an edit. */
  brokenLines(file: FileTruth): readonly number[];
}

export function isWrongIn(file: FileTruth | undefined, seen: Situation): boolean {
  return file !== undefined && seen.wrongLines(file).length > 0;
}

/** Reads a conversation. Calls and answers are those of the built-in tools. */
export function observe(truth: Truth, history: readonly Message[]): Situation {
  const current = new Map([...truth.files].map(([path, { found }]) => [path, [...found]]));
  const texts = new Map<string, readonly string[]>();
  const answers = new Map<string, string>();
  for (const message of history) if (message.role === 'tool') answers.set(message.toolCallId, message.content);
  let turns = 0;
  let edits = 0;
  let tested = false;
  let testsPass = false;
  let lastFailed = false;
  let failing = new Set<string>();
  let lastActions: SeenAction[] = [];
  let lastRead: string[] = [];
  for (const message of history) {
    if (message.role !== 'assistant') continue;
    turns += 1;
    lastRead = [];
    lastActions = message.toolCalls.map(actionOf);
    for (const [index, call] of message.toolCalls.entries()) {
      const answer = answers.get(call.id) ?? '';
      const { tool, args } = lastActions[index] as SeenAction;
      const path = args.path ?? '';
      lastFailed = answer.startsWith('error:');
      if (lastFailed) continue;
      if (tool === 'read') {
        lastRead.push(path);
        texts.set(path, current.get(path) ?? []);
      } else if (tool === 'edit') {
        edits += 1;
        testsPass = false;
        const lines = current.get(path);
        if (lines) lines[(args.line ?? 0) - 1] = args.new ?? '';
      } else if (tool === 'test') {
        tested = true;
        testsPass = answer.startsWith('ok');
        failing = new Set([...answer.matchAll(/> (\w+)/g)].map(([, title]) => title as string));
      }
    }
  }
  const linesOf = (file: FileTruth): readonly string[] => current.get(file.path) ?? [];
  const wrongLines = (file: FileTruth): number[] =>
    file.right.flatMap((text, line) => (linesOf(file)[line] === text ? [] : [line]));
  return {
    turns,
    edits,
    tested,
    testsPass,
    failing,
    texts,
    lastActions,
    lastFailed,
    lastRead,
    linesOf,
    wrongLines,
    brokenLines: (file) => wrongLines(file).filter((line) => file.found[line] === file.right[line]),
  };
}

function actionOf(call: ToolCall): SeenAction {
  return { tool: call.name, args: JSON.parse(call.arguments) as ToolArguments };
}
