/**
 * Changes the weights again and again under agents at work, and compares every recorded token with the weights of the
 * version that it says.
 *
 *   node scripts/weight-updates.ts [UPDATES=1000] [AGENTS=8]
 *
 * Ends with 1 when a call failed, a turn is missing or not what its agent got, or a token is not of its version. Keeps a
 * folder of some 200 MB while it works. What an update is: test/integration/weight-updates.ts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { updateUnderAgents } from '../test/integration/weight-updates.ts';

const updates = Number(process.argv[2] ?? 1000);
const agents = Number(process.argv[3] ?? 8);
const folder = await mkdtemp(join(tmpdir(), 'espalier-updates-'));
try {
  const report = await updateUnderAgents({ folder, updates, agents, progress: (line) => console.log(line) });
  const { calls, failures, turns, tokens, mixedTurns, versions, wrong } = report;
  console.log(
    `${updates} updates under ${agents} agents: ${calls} calls, ${failures.length} failed; ${turns} turns, ` +
      `${mixedTurns} of several versions; ${tokens} tokens of ${versions} versions, ${wrong.length} things wrong`,
  );
  for (const line of [...failures, ...wrong].slice(0, 20)) console.log(`  ${line}`);
  if (failures.length + wrong.length > 0) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
