/** From a rollout's record to its ATIF documents, one a branch. */
import { readFileSync } from 'node:fs';
import type { ToolDefinition } from '../../core/tool.ts';
import type { Renderer } from '../../tokens/renderer.ts';
import type { BlockBody } from '../../trajectory/canonical.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';
import { branchesOf } from '../../trajectory/transcript.ts';
import { turnsOf } from '../../trajectory/turns.ts';
import type { RecordedRun } from '../recorded-run.ts';
import type { AtifAgent } from './atif.ts';
import { atifDocument, type BranchDocument, type DocumentTurn } from './atif-document.ts';
import type { RolloutNotes } from './rollout-notes.ts';

/** `index`: the rollout's records. `renderer` null: the thinking of turns is not known. `tainted`: turns whose ids stay away. */
export function documentsOf(
  run: RecordedRun,
  index: RunIndex,
  notes: RolloutNotes,
  tainted: ReadonlySet<number>,
  renderer: Renderer | null,
): BranchDocument[] {
  const records = new Map(index.turns(notes.rollout).map((record) => [record.index, record]));
  const turns = new Map<number, DocumentTurn>();
  for (const turn of turnsOf(index.turns(notes.rollout))) {
    const record = records.get(turn.index);
    if (record === undefined) continue;
    const thinking = record.relay?.thinking ?? renderer?.parse(turn.completion).thinking ?? '';
    turns.set(turn.index, { turn, record, thinking, secret: tainted.has(turn.index) });
  }
  const agent = agentOf(run);
  return branchesOf(index, notes.rollout).map((branch, at) => {
    const last = records.get(branch.turns.at(-1) ?? -1);
    return atifDocument(branch, at, { notes, agent, turns, tools: toolsOf(index, last?.tools ?? '') });
  });
}

function toolsOf(index: RunIndex, key: string): readonly ToolDefinition[] {
  const body = JSON.parse(index.messageBody(key) ?? 'null') as BlockBody | null;
  return body?.role === 'tools' ? body.tools : [];
}

/** The built-in harness is of this package's version; what else worked through the proxy is not known to us. */
function agentOf({ source }: RecordedRun): Omit<AtifAgent, 'tool_definitions'> {
  const unknown = { name: 'unknown', version: 'unknown' };
  switch (source.kind) {
    case 'run':
      return source.config.harness === 'builtin'
        ? { name: 'espalier-builtin', version: packageVersion(), model_name: source.config.model }
        : { ...unknown, model_name: source.config.model };
    case 'serve':
      return { ...unknown, model_name: source.model };
    case 'proxy':
    case 'unknown':
      // On a relay each step names the upstream's model.
      return unknown;
    default:
      return source satisfies never;
  }
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { readonly version: unknown }).version);
}
