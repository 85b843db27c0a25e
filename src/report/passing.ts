/** A transcript as it passes by on the terminal: one line a turn. Pure; everything is sanitized and cut here. */
import { oneLine } from './text.ts';
import { argumentsOf, type TranscriptTurn, turnsOf } from './transcript.ts';
import type { RolloutView } from './view.ts';

export interface PassingTurn {
  readonly calls: string;
  /** How the last answer began; empty when there was no call. */
  readonly answer: string;
}

const [valueColumns, callColumns, answerColumns] = [48, 160, 120];

export function passingTurns(view: RolloutView): PassingTurn[] {
  return turnsOf(view.messages).map((turn) => ({ calls: callsLine(turn), answer: answerLine(turn) }));
}

function callsLine({ said, calls }: TranscriptTurn): string {
  if (calls.length === 0) return said.trim() === '' ? 'finish' : `\u201c${oneLine(said, callColumns)}\u201d`;
  const texts = calls.map(({ call }) => {
    const values = argumentsOf(call)?.map(([, value]) => oneLine(value, valueColumns));
    return [oneLine(call.name, valueColumns), ...(values ?? [oneLine(call.arguments, valueColumns)])].join(' ');
  });
  return oneLine(texts.join(' \u00b7 '), callColumns);
}

function answerLine({ calls }: TranscriptTurn): string {
  const answer = calls.findLast((one) => one.answer !== null)?.answer ?? '';
  return oneLine(answer, answerColumns);
}
