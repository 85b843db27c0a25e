/** The thread of aside-encoder.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { EncodeAnswer, TokenizerFiles } from './aside-encoder.ts';
import { Tokenizer } from './tokenizer.ts';

const { json, config } = workerData as TokenizerFiles;
const tokenizer = new Tokenizer(json, config);
parentPort?.on('message', ({ call, text }: { readonly call: number; readonly text: string }) => {
  const ids = Int32Array.from(tokenizer.encode(text));
  parentPort?.postMessage({ call, ids } satisfies EncodeAnswer, [ids.buffer]);
});
