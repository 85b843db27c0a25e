/**
 * What our proxy costs and adds, in front of agents and a scripted engine, beside a naive relay that keeps the same facts
 * (naive-relay.ts). One machine, one script, the two by turns.
 *
 *   node bench/proxy/measure.ts [cpu] [lag] [first-token] [hold] [soak] [--rounds N] [--minutes N] [--json] [--profile]
 *
 * Without names all but `soak`, which takes `--minutes` (default 5). `--profile` writes a `.cpuprofile` of our proxy.
 * What each one measures is in its file's head: cpu.ts, lag.ts, hold.ts.
 *
 * Does not measure: a real engine, a network, TLS, other dialects than chat completions, several processes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCpu } from './cpu.ts';
import { measureHold, measureSoak } from './hold.ts';
import { measureFirstToken, measureLag } from './lag.ts';
import { startUpstream } from './processes.ts';

export interface Setting {
  readonly folder: string;
  /** Origin of the scripted upstream. */
  readonly upstream: string;
  readonly rounds: number;
  readonly minutes: number;
  readonly flags: readonly string[];
}

/** A line of the result; figures in milliseconds, megabytes or as the name says. */
export interface Figure {
  readonly name: string;
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** What is aimed at, in words. */
  readonly target?: string;
}

const measures = {
  cpu: measureCpu,
  lag: measureLag,
  'first-token': measureFirstToken,
  hold: measureHold,
  soak: measureSoak,
} as const;
type Measure = keyof typeof measures;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    minutes: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
});
const all: readonly Measure[] = ['cpu', 'lag', 'first-token', 'hold'];
for (const name of positionals)
  if (!(name in measures)) throw new Error(`there is no '${name}'; there are ${all.join(', ')}, soak`);
const chosen = positionals.length === 0 ? all : (positionals as Measure[]);

const machine = `${availableParallelism()} cores of ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
const loadBefore = loadavg()[0] as number;
const folder = await mkdtemp(join(tmpdir(), 'espalier-proxy-bench-'));
const figures: Figure[] = [];
try {
  using upstream = await startUpstream();
  const flags = values.profile ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`] : [];
  const rounds = Number(values.rounds);
  const minutes = Number(values.minutes);
  if (!values.json)
    console.log(`${machine}; load ${loadBefore.toFixed(1)} before; median [least, most] of ${rounds} rounds`);
  for (const name of chosen) {
    for (const figure of await measures[name]({ folder, upstream: upstream.origin, rounds, minutes, flags })) {
      figures.push(figure);
      if (!values.json) console.log(lineOf(figure));
    }
  }
  if (values.json) console.log(JSON.stringify({ machine, loadBefore, rounds, figures }, null, 2));
} finally {
  await rm(folder, { recursive: true, force: true });
}

function lineOf({ name, median, least, most, target }: Figure): string {
  const show = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2));
  const spread = least === most ? '' : ` [${show(least)}, ${show(most)}]`;
  return `${name.padEnd(64)} ${show(median).padStart(7)}${spread}${target === undefined ? '' : `  (aimed at: ${target})`}`;
}
