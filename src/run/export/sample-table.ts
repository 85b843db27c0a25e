/**
 * Sample rows as a Parquet file: the columns of SampleRow under their names, arrays as lists.
 *
 * Invariants:
 * 1. `behaviorLogprobs` are 32-bit floats with the recorded bits.
 * 2. Memory is that of one row group, however many samples there are.
 */
import type { SchemaElement } from 'hyparquet';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { type Output, writeWhole } from './output.ts';
import type { SampleRow } from './sample-rows.ts';

const rowsPerGroup = 1000;

type Repetition = 'REQUIRED' | 'OPTIONAL';
const text = (name: keyof SampleRow, repetition: Repetition): SchemaElement[] => [
  { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: repetition },
];
const scalar = (
  name: keyof SampleRow,
  type: 'INT32' | 'DOUBLE' | 'BOOLEAN',
  repetition: Repetition,
): SchemaElement[] => [{ name, type, repetition_type: repetition }];
const list = (name: keyof SampleRow, type: 'INT32' | 'FLOAT', repetition: Repetition): SchemaElement[] => [
  { name, repetition_type: repetition, converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type, repetition_type: 'REQUIRED' },
];

const columns: Readonly<Record<keyof SampleRow, readonly SchemaElement[]>> = {
  formatVersion: scalar('formatVersion', 'INT32', 'REQUIRED'),
  rollout: text('rollout', 'REQUIRED'),
  group: text('group', 'OPTIONAL'),
  task: text('task', 'OPTIONAL'),
  outcome: text('outcome', 'OPTIONAL'),
  solved: scalar('solved', 'BOOLEAN', 'OPTIONAL'),
  reward: scalar('reward', 'DOUBLE', 'OPTIONAL'),
  turns: list('turns', 'INT32', 'REQUIRED'),
  fidelity: text('fidelity', 'REQUIRED'),
  retokenizedSampledTokens: scalar('retokenizedSampledTokens', 'INT32', 'REQUIRED'),
  redacted: scalar('redacted', 'BOOLEAN', 'REQUIRED'),
  ids: list('ids', 'INT32', 'OPTIONAL'),
  lossMask: list('lossMask', 'INT32', 'OPTIONAL'),
  behaviorLogprobs: list('behaviorLogprobs', 'FLOAT', 'OPTIONAL'),
  versions: list('versions', 'INT32', 'OPTIONAL'),
};
const names = Object.keys(columns) as (keyof SampleRow)[];
const schema: SchemaElement[] = [{ name: 'root', num_children: names.length }, ...Object.values(columns).flat()];

/** The file appears when `fill` has ended well. */
export function writeSampleTable(path: string, fill: (output: Output<SampleRow>) => Promise<void>): Promise<void> {
  return writeWhole(path, async (temporary) => {
    const parquet = new ParquetWriter({ writer: fileWriter(temporary), schema, createdBy: 'espalier' });
    let rows: SampleRow[] = [];
    const flush = async (): Promise<void> => {
      if (rows.length === 0) return;
      const columnData = names.map((name) => ({ name, data: rows.map((row) => row[name]) }));
      await parquet.write({ columnData, rowGroupSize: rowsPerGroup });
      rows = [];
    };
    await fill({
      add: async (_, row) => {
        rows.push(row);
        if (rows.length === rowsPerGroup) await flush();
      },
    });
    await flush();
    await parquet.finish();
  });
}
