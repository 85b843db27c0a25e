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
import { isWrongIn, observe, type SeenAction, type Situation, type ToolArguments } from './situation.ts';
import { type FileTruth, type Truth, truthOf } from './truth.ts';

export { type Truth, truthOf };

/** Chances that make the expert what it is. */
const habits = {
  /** Runs the tests before anything else; else reads, or now and then lists the files. */
  testsFirst: 0.5,
  listsFirst: 0.04,
  /** After failing tests, goes on with a file that they name. */
  followsFailures: 0.9,
  readsTwo: 0.22,
  /** Sees the wrong line of a file that it has just read. */
  notices: 0.92,
  /** Takes a right line for a wrong one. */
  suspects: 0.03,
  /** Knows the right text of a wrong line: at once, and after a try that failed. */
  knows: 0.82,
  knowsBetter: 0.9,
  takesBack: 0.75,
  testsAfterEdit: 0.32,
  testsWithEdit: 0.14,
  trustsTests: 0.94,
  givesUp: 0.6,
  /** Ends after a file that looks right, whatever it has not read. */
  quits: 0.45,
  slips: 0.045,
} as const;

/** After so many turns the expert ends, whatever it found. */
const patience = 9;

type Assistant = Extract<Message, { role: 'assistant' }>;

const testRun: SeenAction = { tool: 'test', args: {} };
const finish: SeenAction = { tool: 'finish', args: {} };

/** The expert's next turn, after the conversation so far. */
export function nextTurn(truth: Truth, history: readonly Message[], random: Random): Assistant {
  const situation = observe(truth, history);
  const actions = decide(truth, situation, random);
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

function decide(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  if (seen.turns >= patience) return [finish];
  if (seen.turns === 0) {
    if (random.chance(habits.testsFirst)) return [testRun];
    return random.chance(habits.listsFirst) ? [{ tool: 'list', args: {} }] : readNext(truth, seen, random);
  }
  if (seen.lastFailed) return recover(seen, random);
  const last = seen.lastActions.at(-1);
  if (last?.tool === 'edit') return afterEdit(truth, seen, random);
  if (last?.tool === 'test') return afterTest(truth, seen, random);
  if (last?.tool === 'read') return afterRead(truth, seen, random);
  return readNext(truth, seen, random);
}

function afterRead(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  for (const path of seen.lastRead) {
    const file = truth.files.get(path);
    if (!file) continue;
    const isWrong = isWrongIn(file, seen);
    if (isWrong && random.chance(habits.notices)) return edit(file, seen, random.chance(habits.knows), random);
    if (!isWrong && random.chance(habits.suspects)) return edit(file, seen, false, random);
  }
  if (random.chance(habits.quits)) return [finish];
  return readNext(truth, seen, random);
}

function afterEdit(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  if (random.chance(habits.testsAfterEdit)) return [testRun];
  // A change of names or of arguments asks for the other file at once.
  const other = truth.sites.map(({ path }) => path).find((path) => isWrongIn(truth.files.get(path), seen));
  if (other && truth.sites.length > 1 && random.chance(habits.notices)) return visit(truth, seen, other, random);
  return random.chance(0.75) ? [finish] : [testRun];
}

function afterTest(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  const unread = [...truth.files.keys()].filter((path) => !seen.texts.has(path));
  if (seen.testsPass) {
    if (seen.edits > 0 && random.chance(habits.trustsTests)) return [finish];
    if (unread.length > 0) return readNext(truth, seen, random);
    return reconsider(truth, seen, random);
  }
  const broken = [...truth.files.values()].find((file) => seen.brokenLines(file).length > 0);
  if (broken && random.chance(habits.takesBack)) return takeBack(broken, seen, random);
  if (unread.length > 0 && (seen.edits === 0 || random.chance(0.5))) return readNext(truth, seen, random);
  return reconsider(truth, seen, random);
}

/** Everything was read, or the last try did not help: look again at what is known. */
function reconsider(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  if (seen.edits > 0 && random.chance(habits.givesUp)) return [finish];
  const wrong = [...truth.files.values()].filter((file) => seen.texts.has(file.path) && isWrongIn(file, seen));
  if (wrong.length > 0 && random.chance(habits.notices)) {
    return edit(random.pick(wrong), seen, random.chance(habits.knowsBetter), random);
  }
  if (seen.edits === 0 && !seen.tested && random.chance(0.7)) return [testRun];
  const known = [...truth.files.values()].filter((file) => seen.texts.has(file.path));
  if (known.length > 0 && random.chance(0.5)) return edit(random.pick(known), seen, false, random);
  return random.chance(0.5) ? [finish] : readNext(truth, seen, random);
}

function readNext(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  const unread = random.shuffled([...truth.files.keys()].filter((path) => !seen.texts.has(path)));
  if (unread.length === 0) return reconsiderRead(truth, seen, random);
  const named = unread.filter((path) => seen.failing.has(truth.files.get(path)?.exported ?? ''));
  const order =
    named.length > 0 && random.chance(habits.followsFailures) ? [...new Set([...named, ...unread])] : unread;
  const first = order[0] as string;
  const second = order[1];
  if (random.chance(habits.slips)) return [{ tool: 'read', args: { path: first.replace('src/', '') } }];
  const reads = second && random.chance(habits.readsTwo) ? [first, second] : [first];
  return reads.map((path) => ({ tool: 'read', args: { path } }));
}

/** All files were read: decide on what they hold. */
function reconsiderRead(truth: Truth, seen: Situation, random: Random): SeenAction[] {
  if (!seen.tested && random.chance(0.6)) return [testRun];
  const wrong = [...truth.files.values()].filter((file) => isWrongIn(file, seen));
  if (wrong.length > 0 && random.chance(0.7))
    return edit(random.pick(wrong), seen, random.chance(habits.knows), random);
  return [finish];
}

function visit(truth: Truth, seen: Situation, path: string, random: Random): SeenAction[] {
  const file = truth.files.get(path);
  if (!file || !seen.texts.has(path)) return [{ tool: 'read', args: { path } }];
  return edit(file, seen, random.chance(habits.knowsBetter), random);
}

/** Edits a wrong line of a file, rightly or not; or, of a right file, some line wrongly. */
function edit(file: FileTruth, seen: Situation, isRight: boolean, random: Random): SeenAction[] {
  const wrongLines = seen.wrongLines(file);
  const line = wrongLines.length > 0 ? random.pick(wrongLines) : null;
  if (line !== null && isRight) return editLine(file, line, file.right[line] as string, seen, random);
  const current = seen.linesOf(file);
  const options = file.alternatives.filter(
    (each) => (line === null || each.line === line) && current[each.line] !== each.text,
  );
  const chosen = random.shuffled(options).find((each) => !each.isEndless());
  if (chosen) return editLine(file, chosen.line, chosen.text, seen, random);
  return line === null ? [testRun] : editLine(file, line, file.right[line] as string, seen, random);
}

function takeBack(file: FileTruth, seen: Situation, random: Random): SeenAction[] {
  const line = random.pick(seen.brokenLines(file));
  return editLine(file, line, file.right[line] as string, seen, random);
}

/** `line` counts from 0. A slip of the hand is a line or a path that does not exist. */
function editLine(file: FileTruth, line: number, text: string, seen: Situation, random: Random): SeenAction[] {
  const slip = random.chance(habits.slips) ? random.below(2) : null;
  const path = slip === 0 ? file.path.replace('src/', '') : file.path;
  const action: SeenAction = {
    tool: 'edit',
    args: { path, line: slip === 1 ? file.right.length + line : line + 1, new: text },
  };
  const isLate = seen.turns + 1 >= patience;
  return slip === null && (isLate || random.chance(habits.testsWithEdit)) ? [action, testRun] : [action];
}

/** The last call was refused: the same again, as it should have been. */
function recover(seen: Situation, random: Random): SeenAction[] {
  const { tool, args } = seen.lastActions.at(-1) as SeenAction;
  const path = args.path ?? '';
  const fixed = path.startsWith('src/') ? path : `src/${path}`;
  if (tool === 'edit') {
    const lines = seen.texts.get(fixed)?.length ?? 1;
    const line = args.line ?? 1;
    const right = line > lines ? line - lines + 1 : line;
    return [{ tool, args: { path: fixed, line: right, new: args.new ?? '' } }];
  }
  if (tool === 'read') return [{ tool, args: { path: fixed } }];
  return random.chance(0.5) ? [testRun] : [finish];
}
