/**
 * A coding agent as the documentation of the `ai` SDK writes one: streamText, three tools, a loop of steps. It knows
 * nothing of Espalier. Environment: OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL, OPENAI_API (`responses` or `chat`).
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createOpenAI } from '@ai-sdk/openai';
import { isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';

const { OPENAI_API, OPENAI_MODEL } = process.env;
const openai = createOpenAI();
const result = streamText({
  model: OPENAI_API === 'chat' ? openai.chat(OPENAI_MODEL) : openai.responses(OPENAI_MODEL),
  system: 'You fix bugs in small projects.',
  prompt: process.argv[2],
  stopWhen: isStepCount(10),
  tools: {
    read: tool({
      description: 'Reads a file.',
      inputSchema: z.object({ path: z.string() }),
      execute: ({ path }) => readFile(path, 'utf8'),
    }),
    edit: tool({
      description: 'Replaces a text that is in the file once.',
      inputSchema: z.object({ path: z.string(), old: z.string(), new: z.string() }),
      execute: async (edit) => {
        const text = await readFile(edit.path, 'utf8');
        if (text.split(edit.old).length !== 2) throw new Error('the text is not there once');
        await writeFile(
          edit.path,
          text.replace(edit.old, () => edit.new),
        );
        return { edited: edit.path };
      },
    }),
    bash: tool({
      description: 'Runs a command.',
      inputSchema: z.object({ command: z.string(), limits: z.object({ seconds: z.number() }).optional() }),
      execute: async ({ command }) => (await promisify(execFile)('bash', ['-c', command])).stdout,
    }),
  },
  onError: ({ error }) => {
    console.error(error);
    process.exitCode = 1;
  },
});
for await (const text of result.textStream) process.stdout.write(text);
