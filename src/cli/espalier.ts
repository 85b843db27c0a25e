#!/usr/bin/env node
/** The command line: one thin file a command, no logic of its own. */
import { Command } from 'commander';
import { EspalierError, messageOf } from '../core/errors.ts';
import { Interrupted } from '../run/interrupt.ts';
import { benchCommand } from './commands/bench.ts';
import { eraseCommand } from './commands/erase.ts';
import { evalCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { inspectCommand } from './commands/inspect.ts';
import { proxyCommand } from './commands/proxy.ts';
import { pruneCommand } from './commands/prune.ts';
import { replayCommand } from './commands/replay.ts';
import { scoreCommand } from './commands/score.ts';
import { seedlingCommand } from './commands/seedling.ts';
import { serveCommand } from './commands/serve.ts';
import { sftCommand } from './commands/sft.ts';
import { trainCommand } from './commands/train.ts';

const program = new Command('espalier')
  .description('Trains the language model behind any coding agent, without touching the agent.')
  .showHelpAfterError('(espalier COMMAND --help shows the options)')
  .addCommand(trainCommand())
  .addCommand(evalCommand())
  .addCommand(scoreCommand())
  .addCommand(inspectCommand())
  .addCommand(serveCommand())
  .addCommand(proxyCommand())
  .addCommand(exportCommand())
  .addCommand(importCommand())
  .addCommand(replayCommand())
  .addCommand(pruneCommand())
  .addCommand(eraseCommand())
  .addCommand(seedlingCommand())
  .addCommand(sftCommand())
  .addCommand(benchCommand());

try {
  await program.parseAsync();
} catch (thrown) {
  if (thrown instanceof Interrupted) process.exit(130);
  // What a user can mend is one line; anything else is a defect, and its stack is the report.
  const text = thrown instanceof EspalierError ? messageOf(thrown) : thrown instanceof Error ? thrown.stack : thrown;
  process.stderr.write(`espalier: ${text}\n`);
  process.exitCode = 1;
}
