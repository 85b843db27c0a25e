/**
 * How much our proxy holds. `hold`: 2,000 sessions that are open, have had a call and are idle, and then 256 streams at a
 * time. `soak`: memory over minutes of sessions that come, work and end; what remains of each turn is its record in the
 * index, which the server keeps.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { runSession, type Work } from './agents.ts';
import { figureOf } from './figures.ts';
import type { Figure, Setting } from './measure.ts';
import { startTarget } from './processes.ts';

const idle = 2000;
const streams = 256;

const single = (name: string, value: number, target?: string): Figure => figureOf(name, [value], target);

export async function measureHold({ folder, upstream, flags }: Setting): Promise<Figure[]> {
  const where = await mkdtemp(join(folder, 'hold-'));
  using target = await startTarget('ours', where, 5, upstream, flags);
  const empty = await target.usage(true);
  const addresses = await target.open(idle);
  const once: Work = { ids: 2048, turns: 1, stream: true, pace: 5 };
  let failed = 0;
  for (let at = 0; at < idle; at += streams) {
    const calls = await Promise.all(addresses.slice(at, at + streams).map((address) => runSession(address, once)));
    failed += calls.flat().filter(({ ok }) => !ok).length;
  }
  const held = await target.usage(true);
  const busy = (await target.open(streams)).map((address) => runSession(address, { ...once, turns: 4 }));
  failed += (await Promise.all(busy)).flat().filter(({ ok }) => !ok).length;
  const after = await target.usage(true);
  return [
    single(`calls that failed, of ${idle} sessions and ${streams} streams`, failed, '0'),
    single(`heap a session that is idle after a call of 2 K ids, KB`, ((held.heapMb - empty.heapMb) * 1024) / idle),
    single(`resident memory, ${idle} idle sessions, MB`, held.rssMb),
    single(`resident memory, after ${streams} streams beside them, MB`, after.rssMb),
    single(`loop lag p99 under ${streams} streams, ms`, after.lagP99Ms),
  ];
}

export async function measureSoak({ folder, upstream, minutes, flags }: Setting): Promise<Figure[]> {
  const where = await mkdtemp(join(folder, 'soak-'));
  using target = await startTarget('ours', where, 1, upstream, flags);
  const work: Work = { ids: 4096, turns: 6, stream: true, pace: 1 };
  const end = Date.now() + minutes * 60_000;
  const heaps: { readonly turns: number; readonly heapMb: number; readonly rssMb: number }[] = [];
  let [turns, failed] = [0, 0];
  do {
    const addresses = await target.open(16);
    const calls = (await Promise.all(addresses.map((address) => runSession(address, work)))).flat();
    turns += calls.length;
    failed += calls.filter(({ ok }) => !ok).length;
    await target.closeSessions();
    heaps.push({ turns, ...(await target.usage(true)) });
  } while (Date.now() < end);
  // What a warm process holds is its own; after it only records grow.
  const [first, last] = [heaps[Math.floor(heaps.length / 5)] as (typeof heaps)[0], heaps.at(-1) as (typeof heaps)[0]];
  const grownKb = ((last.heapMb - first.heapMb) * 1024) / Math.max(1, last.turns - first.turns);
  return [
    single(`turns in ${minutes} minutes`, turns),
    single('calls that failed', failed, '0'),
    single('heap that grows a turn, KB', grownKb),
    single('resident memory at the end, MB', last.rssMb),
    single('resident memory after a fifth of the time, MB', first.rssMb),
  ];
}
