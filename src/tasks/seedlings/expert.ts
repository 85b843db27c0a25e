/**
 * A scripted expert that knows the truth about a seedling and is imperfect on purpose, for demonstrations.
 *
 * It shows every skill that a policy needs - running tests, reading failures, reading files, editing one line, trying
 * again, testing after an edit, several calls in a turn, ending - but not always the right one: about half of its
 * rollouts solve the task, so that reinforcement learning has room.
 *
 * Invariants
 * 1. A pure function of the truth, the conversation so far and the random numbers it is given.
 * 2. Its wrong edits are mutants that training allows: a pair (fragment, operator) that is held out never appears.
 */
import type { Message, ToolCall } from '../../core/message.ts';
import type { Random } from '../../core/random.ts';
import { type Habits, imperfect } from './habits.ts';
import { isWrongIn, observe, type SeenAction, type Situation, type ToolArguments } from './situation.ts';
import { type FileTruth, type Truth, truthOf } from './truth.ts';

export { type Truth, truthOf };

/** After so many turns the expert ends, whatever it found. */
const patience = 9;

/** What a decision is made from. */
interface Moment {
  readonly truth: Truth;
  readonly seen: Situation;
  readonly random: Random;
  readonly habits: Habits;
}

type Assistant = Extract<Message, { role: 'assistant' }>;

const testRun: SeenAction = { tool: 'test', args: {} };
const finish: SeenAction = { tool: 'finish', args: {} };

/** The expert's next turn, after the conversation so far. */
export function nextTurn(
  truth: Truth,
  history: readonly Message[],
  random: Random,
  habits: Habits = imperfect,
): Assistant {
  const situation = observe(truth, history);
  const actions = decide({ truth, seen: situation, random, habits });
  const toolCalls = actions.map(
    (action, index): ToolCall => ({
      id: `call_${situation.turns}_${index}`,
      name: action.tool,
      arguments: argumentsText(action.args),
    }),
  );
  return { role: 'assistant', content: '', toolCalls };
}

/** JSON with a space after each colon and comma, as chat templates write it. */
export function argumentsText(args: ToolArguments): string {
  const entries = Object.entries(args).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
  return `{${entries.join(', ')}}`;
}

function decide(now: Moment): SeenAction[] {
  if (now.seen.turns >= patience) return [finish];
  if (now.seen.turns === 0) {
    if (now.random.chance(now.habits.testsFirst)) return [testRun];
    return now.random.chance(now.habits.listsFirst) ? [{ tool: 'list', args: {} }] : readNext(now);
  }
  if (now.seen.lastFailed) return recover(now);
  const last = now.seen.lastActions.at(-1);
  if (last?.tool === 'edit') return afterEdit(now);
  if (last?.tool === 'test') return afterTest(now);
  if (last?.tool === 'read') return afterRead(now);
  return readNext(now);
}

function afterRead(now: Moment): SeenAction[] {
  for (const path of now.seen.lastRead) {
    const file = now.truth.files.get(path);
    if (!file) continue;
    const isWrong = isWrongIn(file, now.seen);
    if (isWrong && now.random.chance(now.habits.notices)) return edit(file, now.random.chance(now.habits.knows), now);
    if (!isWrong && now.random.chance(now.habits.suspects)) return edit(file, false, now);
  }
  if (now.random.chance(now.habits.quits)) return [finish];
  return readNext(now);
}

function afterEdit(now: Moment): SeenAction[] {
  if (now.random.chance(now.habits.testsAfterEdit)) return [testRun];
  // A change of names or of arguments asks for the other file at once.
  const other = now.truth.sites.map(({ path }) => path).find((path) => isWrongIn(now.truth.files.get(path), now.seen));
  if (other && now.truth.sites.length > 1 && now.random.chance(now.habits.notices)) return visit(other, now);
  return now.random.chance(0.75) ? [finish] : [testRun];
}

function afterTest(now: Moment): SeenAction[] {
  const unread = [...now.truth.files.keys()].filter((path) => !now.seen.texts.has(path));
  if (now.seen.testsPass) {
    if (now.seen.edits > 0 && now.random.chance(now.habits.trustsTests)) return [finish];
    if (unread.length > 0) return readNext(now);
    return reconsider(now);
  }
  const broken = [...now.truth.files.values()].find((file) => now.seen.brokenLines(file).length > 0);
  if (broken && now.random.chance(now.habits.takesBack)) return takeBack(broken, now);
  if (unread.length > 0 && (now.seen.edits === 0 || now.random.chance(0.5))) return readNext(now);
  return reconsider(now);
}

/** Everything was read, or the last try did not help: look again at what is known. */
function reconsider(now: Moment): SeenAction[] {
  if (now.seen.edits > 0 && now.random.chance(now.habits.givesUp)) return [finish];
  const wrong = [...now.truth.files.values()].filter(
    (file) => now.seen.texts.has(file.path) && isWrongIn(file, now.seen),
  );
  if (wrong.length > 0 && now.random.chance(now.habits.notices)) {
    return edit(now.random.pick(wrong), now.random.chance(now.habits.knowsBetter), now);
  }
  if (now.seen.edits === 0 && !now.seen.tested && now.random.chance(0.7)) return [testRun];
  const known = [...now.truth.files.values()].filter((file) => now.seen.texts.has(file.path));
  if (known.length > 0 && now.random.chance(0.5)) return edit(now.random.pick(known), false, now);
  return now.random.chance(0.5) ? [finish] : readNext(now);
}

function readNext(now: Moment): SeenAction[] {
  const unread = now.random.shuffled([...now.truth.files.keys()].filter((path) => !now.seen.texts.has(path)));
  if (unread.length === 0) return reconsiderRead(now);
  const named = unread.filter((path) => now.seen.failing.has(now.truth.files.get(path)?.exported ?? ''));
  const order =
    named.length > 0 && now.random.chance(now.habits.followsFailures) ? [...new Set([...named, ...unread])] : unread;
  const first = order[0] as string;
  const second = order[1];
  if (now.random.chance(now.habits.slips)) return [{ tool: 'read', args: { path: first.replace('src/', '') } }];
  const reads = second && now.random.chance(now.habits.readsTwo) ? [first, second] : [first];
  return reads.map((path) => ({ tool: 'read', args: { path } }));
}

/** All files were read: decide on what they hold. */
function reconsiderRead(now: Moment): SeenAction[] {
  if (!now.seen.tested && now.random.chance(0.6)) return [testRun];
  const wrong = [...now.truth.files.values()].filter((file) => isWrongIn(file, now.seen));
  if (wrong.length > 0 && now.random.chance(0.7))
    return edit(now.random.pick(wrong), now.random.chance(now.habits.knows), now);
  return [finish];
}

function visit(path: string, now: Moment): SeenAction[] {
  const file = now.truth.files.get(path);
  if (!file || !now.seen.texts.has(path)) return [{ tool: 'read', args: { path } }];
  return edit(file, now.random.chance(now.habits.knowsBetter), now);
}

/** Edits a wrong line of a file, rightly or not; or, of a right file, some line wrongly. */
function edit(file: FileTruth, isRight: boolean, now: Moment): SeenAction[] {
  const wrongLines = now.seen.wrongLines(file);
  const line = wrongLines.length > 0 ? now.random.pick(wrongLines) : null;
  if (line !== null && isRight) return editLine(file, line, file.right[line] as string, now);
  const current = now.seen.linesOf(file);
  const options = file.alternatives.filter(
    (each) => (line === null || each.line === line) && current[each.line] !== each.text,
  );
  const chosen = now.random.shuffled(options).find((each) => !each.isEndless());
  if (chosen) return editLine(file, chosen.line, chosen.text, now);
  return line === null ? [testRun] : editLine(file, line, file.right[line] as string, now);
}

function takeBack(file: FileTruth, now: Moment): SeenAction[] {
  const line = now.random.pick(now.seen.brokenLines(file));
  return editLine(file, line, file.right[line] as string, now);
}

/** `line` counts from 0. A slip of the hand is a line or a path that does not exist. */
function editLine(file: FileTruth, line: number, text: string, now: Moment): SeenAction[] {
  const slip = now.random.chance(now.habits.slips) ? now.random.below(2) : null;
  const path = slip === 0 ? file.path.replace('src/', '') : file.path;
  const action: SeenAction = {
    tool: 'edit',
    args: { path, line: slip === 1 ? file.right.length + line : line + 1, new: text },
  };
  const isLate = now.seen.turns + 1 >= patience;
  return slip === null && (isLate || now.random.chance(now.habits.testsWithEdit)) ? [action, testRun] : [action];
}

/** The last call was refused: the same again, as it should have been. */
function recover(now: Moment): SeenAction[] {
  const { tool, args } = now.seen.lastActions.at(-1) as SeenAction;
  const path = args.path ?? '';
  const fixed = path.startsWith('src/') ? path : `src/${path}`;
  if (tool === 'edit') {
    const lines = now.seen.texts.get(fixed)?.length ?? 1;
    const line = args.line ?? 1;
    const right = line > lines ? line - lines + 1 : line;
    return [{ tool, args: { path: fixed, line: right, new: args.new ?? '' } }];
  }
  if (tool === 'read') return [{ tool, args: { path: fixed } }];
  return now.random.chance(0.5) ? [testRun] : [finish];
}
