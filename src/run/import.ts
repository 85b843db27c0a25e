/**
 * `espalier import`: conversations from elsewhere into one file of chat JSONL that the supervised stage reads.
 *
 * Not training: with a model, it says what the conversations are in that model's tokens.
 */
import { EspalierError } from '../core/errors.ts';
import type { Demonstration } from '../learn/stages/sft.ts';
import { sftBatch } from '../learn/stages/sft.ts';
import { whole } from '../report/format.ts';
import { loadRenderer } from '../tokens/load.ts';
import { writeLines } from './export/output.ts';
import { type Conversation, chatLine, learnedReplies } from './import/conversation.ts';
import { demonstrationFrom } from './import/demonstrations.ts';
import { readConversations } from './import/read.ts';

export interface ImportOptions {
  /** A `.jsonl` file. */
  readonly out: string;
  /** A model folder whose tokens are counted. */
  readonly model?: string;
}

/** Gives what was read, as lines. Throws EspalierError('config') at the first conversation that cannot be read. */
export async function importFiles(files: readonly string[], options: ImportOptions): Promise<string> {
  if (!options.out.endsWith('.jsonl')) {
    throw new EspalierError(
      'config',
      `--out ${options.out}: conversations are written as JSON lines: name a .jsonl file`,
    );
  }
  const renderer = options.model === undefined ? null : await loadRenderer(options.model);
  const demonstrations: Demonstration[] = [];
  const counts = { conversations: 0, messages: 0, replies: 0, learned: 0, without: 0 };
  await writeLines(options.out, async (output) => {
    for (const file of files) {
      for await (const conversation of readConversations(file)) {
        const learned = learnedReplies(conversation).length;
        if (learned === 0) {
          counts.without++;
          continue;
        }
        if (renderer !== null) demonstrations.push(demonstrationFrom(conversation, renderer));
        await output.add('', chatLine(conversation));
        counts.conversations++;
        counts.messages += conversation.messages.length;
        counts.replies += repliesOf(conversation);
        counts.learned += learned;
      }
    }
    if (counts.conversations === 0) {
      throw new EspalierError('config', `no conversation with a reply to learn in ${files.join(', ')}`);
    }
  });
  return [countsText(options.out, counts), ...(demonstrations.length > 0 ? [tokensText(demonstrations)] : [])].join(
    '\n',
  );
}

const repliesOf = ({ messages }: Conversation): number => messages.filter(({ role }) => role === 'assistant').length;

function countsText(
  out: string,
  counts: { conversations: number; messages: number; replies: number; learned: number; without: number },
): string {
  const masked = counts.replies - counts.learned;
  return [
    `${out}: ${whole(counts.conversations)} conversations, ${whole(counts.messages)} messages`,
    `, ${whole(counts.learned)} replies to learn${masked === 0 ? '' : ` and ${whole(masked)} in context only`}`,
    counts.without === 0 ? '' : `; ${whole(counts.without)} conversations without a reply to learn left out`,
  ].join('');
}

function tokensText(demonstrations: readonly Demonstration[]): string {
  const { flatTokens, treeTokens } = sftBatch(demonstrations);
  const longest = demonstrations.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  return `${whole(flatTokens)} tokens, the longest conversation ${whole(longest)}; ${whole(treeTokens)} as one trie`;
}
