/**
 * Plays the scripted expert against the built-in agent's real tools, without HTTP and without a model.
 *
 * Not here: what the expert decides (`tasks/seedlings/expert.ts`), and how demonstrations become training samples.
 *
 * Invariants
 * 1. The messages are those that the built-in agent would have sent: same system prompt, tools and answers.
 * 2. A pure function of the task and the random numbers, whatever the sandbox's timing.
 */
import type { Message } from '../core/message.ts';
import type { Random } from '../core/random.ts';
import type { Task } from '../core/task.ts';
import { runTool, systemPrompt } from '../harness/tools.ts';
import type { Sandbox, SandboxLimits, SandboxProvider } from '../sandbox/sandbox.ts';
import { nextTurn, truthOf } from '../tasks/seedlings/expert.ts';
import { type Habits, imperfect } from '../tasks/seedlings/habits.ts';

export interface Demonstration {
  readonly messages: readonly Message[];
  /** Indices in `messages` of assistant turns with a call that a tool refused: imitating them is not wanted. */
  readonly errorTurns: ReadonlySet<number>;
  /** The tree that the expert left is the solution, by text. Cheaper than grading, and never true of a wrong tree. */
  readonly solved: boolean;
}

export interface DemonstrationLimits {
  readonly maxTurns: number;
  readonly sandbox: SandboxLimits;
  /** The expert's; `imperfect` if not given. */
  readonly habits?: Habits;
}

/** Demonstrates one seedling. Rejects with EspalierError: `task` when it is no seedling, `sandbox` when that fails. */
export async function demonstrate(
  task: Task,
  random: Random,
  sandboxes: SandboxProvider,
  limits: DemonstrationLimits,
): Promise<Demonstration> {
  const truth = truthOf(task);
  const messages: Message[] = [
    { role: 'system', content: systemPrompt },
    { role: 'user', content: task.statement },
  ];
  const errorTurns = new Set<number>();
  const sandbox = await sandboxes.start(task.files, limits.sandbox);
  try {
    for (let turn = 0; turn < limits.maxTurns; turn++) {
      const message = nextTurn(truth, messages, random, limits.habits ?? imperfect);
      const answers = await Promise.all(message.toolCalls.map((call) => runTool(sandbox, call.name, call.arguments)));
      if (answers.some(({ error }) => error)) errorTurns.add(messages.length);
      messages.push(message);
      if (message.toolCalls.some(({ name }) => name === 'finish')) break;
      for (const [index, { content }] of answers.entries()) {
        messages.push({ role: 'tool', toolCallId: message.toolCalls[index]?.id as string, content });
      }
    }
    return { messages, errorTurns, solved: isSolution(task, sandbox) };
  } finally {
    await sandbox.close();
  }
}

function isSolution(task: Task, sandbox: Sandbox): boolean {
  const changed = sandbox.diff();
  const wanted = Object.entries(task.solution);
  return Object.keys(changed).length === wanted.length && wanted.every(([path, text]) => changed[path] === text);
}
