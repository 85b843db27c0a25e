/**
 * `espalier export`: a record's training samples or trajectories, for programs that do not know our store.
 *
 * Invariants:
 * 1. All that would leave is scanned for secrets before anything is written: a hit stops the export, or is redacted.
 * 2. The same record gives the same bytes.
 * 3. Memory is that of one rollout, and of what is known of secrets.
 */
import { EspalierError } from '../core/errors.ts';
import type { RolloutId } from '../core/ids.ts';
import { whole } from '../report/format.ts';
import { loadRenderer } from '../tokens/load.ts';
import type { Renderer } from '../tokens/renderer.ts';
import { mergedSamples, requestSamples } from '../trajectory/samples.ts';
import { turnsOf } from '../trajectory/turns.ts';
import type { AtifTrajectory } from './export/atif.ts';
import { documentsOf } from './export/documents.ts';
import { noteExport } from './export/export-notes.ts';
import { type Output, writeFolder, writeLines } from './export/output.ts';
import { notesOf } from './export/rollout-notes.ts';
import { type SampleRow, sampleRow } from './export/sample-rows.ts';
import { writeSampleTable } from './export/sample-table.ts';
import { type RolloutScan, SecretScanner, secretsError } from './export/secret-scan.ts';
import { redactedValue } from './export/secrets.ts';
import { openRecordedRun, type RecordedRun, rolloutsUnder } from './recorded-run.ts';

export interface ExportOptions {
  readonly format: 'samples' | 'atif';
  /** Samples: a `.parquet` or `.jsonl` file. ATIF: a `.jsonl` file, or a folder. */
  readonly out: string;
  /** What makes a sample: a whole trajectory, or each request. */
  readonly per: 'trajectory' | 'request';
  /** Only this rollout, or those below this path. */
  readonly rollout?: string;
  /** Replace secrets instead of stopping at them. */
  readonly redact: boolean;
}

/** Gives a line that says what was written. Throws EspalierError('config') at a secret, EspalierError('store'). */
export async function exportRun(path: string, options: ExportOptions): Promise<string> {
  checkOut(options);
  await using run = await openRecordedRun(path);
  const under = await rolloutsUnder(run, '--rollout', options.rollout);
  const renderer = run.tokenizer === null ? null : await loadRenderer(run.tokenizer);
  const scans = await scanAll(run, under, renderer);
  const hits = [...scans.values()].flatMap((scan) => scan.hits);
  if (hits.length > 0 && !options.redact) throw secretsError(hits);

  const source = { run, under, scans };
  const { out } = options;
  let text = '';
  if (options.format === 'samples') {
    await (out.endsWith('.parquet') ? writeSampleTable : writeLines<SampleRow>)(out, async (output) => {
      text = await writeSamples(source, options.per, output);
    });
  } else {
    await (out.endsWith('.jsonl') ? writeLines<AtifTrajectory> : writeFolder<AtifTrajectory>)(out, async (output) => {
      text = await writeAtif(source, renderer, output);
    });
  }
  const places = new Set(hits.map(({ rollout, turn }) => `${rollout} ${turn}`)).size;
  const redactions = places === 0 ? '' : `; redacted what looks like a secret in ${whole(places)} turns`;
  const unread = renderer === null ? '; ids were not read for secrets, as the run has no tokenizer: messages were' : '';
  const isNoted = noteExport(path, { at: new Date().toISOString(), format: options.format, out, rollout: under });
  const unnoted = isNoted ? '' : '; the run directory cannot be written, so an erasure will not name this copy';
  return `${out}: ${text}${redactions}${unread}${unnoted}`;
}

function checkOut({ format, out }: ExportOptions): void {
  if (format === 'samples' && !/\.(parquet|jsonl)$/.test(out)) {
    throw new EspalierError('config', `--out ${out}: samples are a table: name a .parquet or a .jsonl file`);
  }
  if (format === 'atif' && /\.(parquet|json)$/.test(out)) {
    throw new EspalierError(
      'config',
      `--out ${out}: each trajectory is a document: name a folder for them, or a .jsonl file`,
    );
  }
}

/** Only rollouts with a hit. */
async function scanAll(
  { index }: RecordedRun,
  under: string | null,
  renderer: Renderer | null,
): Promise<Map<RolloutId, RolloutScan>> {
  const scanner = new SecretScanner(renderer === null ? null : (ids) => renderer.tokenizer.decode(ids));
  const scans = new Map<RolloutId, RolloutScan>();
  for await (const row of index.rollouts(under)) {
    const { rollout } = notesOf(row);
    const scan = scanner.scan(await index.rollout(rollout), rollout);
    if (scan.hits.length > 0) scans.set(rollout, scan);
  }
  return scans;
}

interface ExportSource {
  readonly run: RecordedRun;
  readonly under: string | null;
  readonly scans: ReadonlyMap<RolloutId, RolloutScan>;
}

/** Of rollouts that train, and only samples with something to learn. */
async function writeSamples(
  { run: { index }, under, scans }: ExportSource,
  per: ExportOptions['per'],
  output: Output<SampleRow>,
): Promise<string> {
  const counts = { samples: 0, tokens: 0, learned: 0, heldOut: 0 };
  for await (const row of index.rollouts(under)) {
    const notes = notesOf(row);
    const { rollout } = notes;
    const records = await index.rollout(rollout);
    if (records.sessions.get(rollout)?.trainable === false) {
      counts.heldOut++;
      continue;
    }
    const scan = scans.get(rollout);
    const turns = turnsOf(records.turns(rollout));
    const told = scan === undefined ? notes : redactedValue(notes);
    for (const sample of (per === 'request' ? requestSamples : mergedSamples)(turns)) {
      const learned = sample.lossMask.reduce((sum, mask) => sum + mask, 0);
      if (learned === 0) continue;
      // A sample's last turn is its leaf, whose path it is.
      const secret = scan?.tainted.has(sample.turns.at(-1) as number) === true;
      await output.add(rollout, sampleRow(sample, turns, told, secret));
      counts.samples++;
      counts.tokens += sample.ids.length;
      counts.learned += learned;
    }
  }
  const heldOut = counts.heldOut === 0 ? '' : `; ${whole(counts.heldOut)} rollouts that do not train left out`;
  return `${whole(counts.samples)} samples of ${whole(counts.tokens)} tokens, ${whole(counts.learned)} learned${heldOut}`;
}

async function writeAtif(
  source: ExportSource,
  renderer: Renderer | null,
  output: Output<AtifTrajectory>,
): Promise<string> {
  let [documents, steps] = [0, 0];
  for await (const row of source.run.index.rollouts(source.under)) {
    const notes = notesOf(row);
    const scan = source.scans.get(notes.rollout);
    const records = await source.run.index.rollout(notes.rollout);
    for (const document of documentsOf(source.run, records, notes, scan?.tainted ?? new Set(), renderer)) {
      await output.add(document.trajectory_id, scan === undefined ? document : redactedValue(document));
      documents++;
      steps += document.steps.length;
    }
  }
  return `${whole(documents)} trajectories of ${whole(steps)} steps`;
}
