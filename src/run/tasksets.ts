/** Which tasks a run draws: a taskset by name, and the place of each draw in it. */
import { EspalierError } from '../core/errors.ts';
import { Random, seedOf } from '../core/random.ts';
import { seedlings } from '../tasks/seedlings/seedlings.ts';
import type { Taskset } from '../tasks/taskset.ts';

/** Throws EspalierError('config') for a name that no taskset has. */
export function tasksetOf(name: string): Taskset {
  if (name.startsWith('seedlings/')) return seedlings(name);
  throw new EspalierError('config', `no tasks '${name}': write seedlings/SET, e.g. seedlings/train`);
}

/** `seedlings/unseen:100` is the first 100 tasks; without a count all of them. */
export function parseTasks(spec: string): { readonly taskset: Taskset; readonly tasks: number } {
  const [name = '', count] = spec.split(':');
  const taskset = tasksetOf(name);
  const tasks = count === undefined ? taskset.size : Number(count);
  if (tasks === null || !Number.isSafeInteger(tasks) || tasks < 1) {
    throw new EspalierError('config', `--tasks ${spec}: ${name} needs a count, e.g. ${name}:300`);
  }
  if (taskset.size !== null && tasks > taskset.size) {
    throw new EspalierError('config', `--tasks ${spec}: ${name} has ${taskset.size} tasks`);
  }
  return { taskset, tasks };
}

/** Endless tasksets are entered anywhere below this. */
const places = 2 ** 31;

/** The place of a batch's d-th draw: any, but the same for the same run seed. */
export function placeOfDraw(taskset: Taskset, runSeed: number, batch: number, draw: number): number {
  return new Random(seedOf('draw', runSeed, batch, draw)).below(taskset.size ?? places);
}
