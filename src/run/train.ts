/**
 * The loop: rollouts through the proxy, verdicts, trie, gradient, new weights.
 *
 * Not here: how any of these is done. This file names the stages and the order in which they become durable.
 *
 * Invariants:
 * 1. A batch's manifest is durable before its first step, so that every step can be replayed.
 * 2. Resume is replay: the same loop from the last checkpoint, in which recorded rollouts are not run again. A resumed
 *    run ends with the bytes that an undisturbed one ends with.
 * 3. Rows of metrics.jsonl and eval.jsonl are written once; a resumed run does not repeat those that are there.
 */
import type { RunView } from '../report/view.ts';
import { collectBatch } from '../rollout/manager.ts';
import { manifestOf, metricsRow, stepsOf } from './batch.ts';
import { isDue } from './curve.ts';
import type { RunDirectory } from './directory.ts';
import { finishRun } from './finish.ts';
import { Interrupted, onInterrupt } from './interrupt.ts';
import { openRun, type Run } from './open-run.ts';

/** Runs or continues a run to its end. False when it was interrupted; throws what else stopped it. */
export async function train(directory: RunDirectory, view: RunView): Promise<boolean> {
  using interrupt = onInterrupt();
  await using run = await openRun(directory, view, interrupt.signal);
  view.start(run.info);
  try {
    await loop(run);
    return true;
  } catch (thrown) {
    const interrupted = thrown instanceof Interrupted;
    view.end({
      summary: null,
      lines: [`${interrupted ? 'stopped' : 'failed'}; go on with: ${run.info.resumeCommand}`],
    });
    if (!interrupted) throw thrown;
    return false;
  }
}

async function loop(run: Run): Promise<void> {
  const { config, engine } = run;
  const first = await run.evaluate(0);
  for (let batch = run.firstBatch; batch < config.batches; batch++) {
    if (batch > 0 && isDue(config, batch)) await run.evaluate(batch);
    const startedAt = run.clock.now();

    const collected = await collectBatch(run.collecting(batch));
    const manifest = manifestOf(batch, engine.version, collected.informative, run.placeOf);
    await run.recordManifest(manifest);

    const steps = stepsOf(manifest, run.record, config);
    const results = [];
    for (const step of steps) results.push({ step, result: await engine.train(step.request) });
    await engine.publish();

    const seconds = (run.clock.now() - startedAt) / 1000 / steps.length;
    for (const { step, result } of results) {
      await run.rows.metrics(metricsRow({ collected, record: run.record }, step, result, seconds));
    }
    if ((batch + 1) % config.checkpointEvery === 0 || batch + 1 === config.batches) await run.checkpoint();
  }
  await finishRun(run, first, await run.evaluate(config.batches));
}
