/**
 * The built-in agent's tools, as functions on a sandbox. The demonstrator runs the same ones without HTTP.
 *
 * Texts are short and regular, since a small model reads all of them:
 *   list    paths, one a line
 *   read    the path, then the lines with their numbers
 *   edit    replaces one line; answers with the line as it now stands
 *   test    `ok 5`, or `failed 2 of 5` and the first failures
 *   finish  `ok`
 * A call that cannot be done answers with one line that starts with `error:`.
 */
import { boundaryOf, EspalierError, messageOf } from '../core/errors.ts';
import type { ToolDefinition } from '../core/tool.ts';
import type { Sandbox, SuiteRun } from '../sandbox/sandbox.ts';

export const systemPrompt = 'Fix the bug.';

export interface ToolAnswer {
  readonly content: string;
  /** The call could not be done. A failing test is not an error. */
  readonly error: boolean;
}

const text = (description: string): Record<string, unknown> => ({ type: 'string', description });

function define(
  name: string,
  description: string,
  properties: Record<string, Record<string, unknown>>,
): ToolDefinition {
  const required = Object.keys(properties);
  return { name, description, parameters: { type: 'object', properties, required, additionalProperties: false } };
}

export const builtinTools: readonly ToolDefinition[] = [
  define('list', 'List the files', {}),
  define('read', 'Read a file', { path: text('File') }),
  define('edit', 'Replace one line', {
    path: text('File'),
    line: { type: 'integer', description: 'Line number' },
    new: text('New text of the line'),
  }),
  define('test', 'Run the tests', {}),
  define('finish', 'End the work', {}),
];

const maxAnswerChars = 6000;
const maxFailures = 2;
const maxFailureChars = 160;

/** A call that the model got wrong; its message is the answer. */
class CallError extends Error {}

/**
 * Runs one call. Everything but a test run has taken effect when this returns its promise, and a test run sees the tree
 * as it is then: calls that are started in order give the same answers whatever their timing.
 *
 * Rejects with EspalierError('sandbox') only when the sandbox itself fails.
 */
export async function runTool(
  sandbox: Sandbox,
  name: string,
  argumentsJson: string,
  signal?: AbortSignal,
): Promise<ToolAnswer> {
  try {
    const args = parseArguments(argumentsJson);
    return { content: await dispatch(sandbox, name, args, signal), error: false };
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    return { content: `error: ${thrown.message}`, error: true };
  }
}

function dispatch(
  sandbox: Sandbox,
  name: string,
  args: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): string | Promise<string> {
  switch (name) {
    case 'list':
      return bounded(sandbox.list().join('\n'));
    case 'read':
      return readFile(sandbox, stringArgument(args, 'path'));
    case 'edit':
      return editLine(sandbox, stringArgument(args, 'path'), lineArgument(args, 'line'), stringArgument(args, 'new'));
    case 'test':
      return sandbox.runTests(visibleTests(sandbox), signal).then(describeRun);
    case 'finish':
      return 'ok';
    default:
      throw new CallError(`no tool ${JSON.stringify(name.slice(0, 40))}`);
  }
}

/** The test files of a tree, in order. */
export function visibleTests(sandbox: Pick<Sandbox, 'list'>): readonly string[] {
  return sandbox.list().filter((path) => /\.test\.[cm]?js$/.test(path));
}

/** What the model reads of a run: bounded, and the same for the same run. */
export function describeRun(run: SuiteRun): string {
  const failed = run.tests.filter((test) => test.status === 'failed');
  if (run.completed && failed.length === 0) return `ok ${run.tests.length}`;
  if (!run.completed) return shorten(`failed: ${run.message ?? 'did not complete'}`);
  const lines = failed.slice(0, maxFailures).map((test) => shorten(`${shortId(test.id)}: ${test.message}`));
  return [`failed ${failed.length} of ${run.tests.length}`, ...lines].join('\n');
}

/** `test/clamp.test.js > title` without its folder. */
function shortId(id: string): string {
  return id.replace(/^[^>]*\//, '');
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > maxFailureChars ? `${line.slice(0, maxFailureChars - 3)}...` : line;
}

function bounded(content: string): string {
  return content.length > maxAnswerChars ? `${content.slice(0, maxAnswerChars)}\n...` : content;
}

function readFile(sandbox: Sandbox, path: string): string {
  const lines = linesOf(sandbox, path);
  return bounded([path, ...lines.map((line, index) => `${index + 1} ${line}`)].join('\n'));
}

function editLine(sandbox: Sandbox, path: string, line: number, replacement: string): string {
  const lines = linesOf(sandbox, path);
  if (line < 1 || line > lines.length) throw new CallError(`line ${line} is not in 1 to ${lines.length}`);
  const next = lines.toSpliced(line - 1, 1, replacement);
  try {
    sandbox.write(path, `${next.join('\n')}\n`);
  } catch (thrown) {
    if (boundaryOf(thrown, 'harness') === 'sandbox' && thrown instanceof EspalierError)
      throw new CallError(messageOf(thrown));
    throw thrown;
  }
  return `${line} ${replacement}`;
}

/** Lines without the newline that ends the file. */
function linesOf(sandbox: Sandbox, path: string): readonly string[] {
  const content = sandbox.read(path);
  if (content === null) throw new CallError(`no file ${JSON.stringify(path.slice(0, 80))}`);
  return content.replace(/\n$/, '').split('\n');
}

function parseArguments(json: string): Readonly<Record<string, unknown>> {
  if (json.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new CallError('the arguments are not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CallError('the arguments are not an object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function stringArgument(args: Readonly<Record<string, unknown>>, name: string): string {
  const value = args[name];
  if (value === undefined) throw new CallError(`${name} is missing`);
  if (typeof value !== 'string') throw new CallError(`${name} is not a string`);
  return value;
}

function lineArgument(args: Readonly<Record<string, unknown>>, name: string): number {
  const value = args[name];
  if (value === undefined) throw new CallError(`${name} is missing`);
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new CallError(`${name} is not a whole number`);
  return value;
}
