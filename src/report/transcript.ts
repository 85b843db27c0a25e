/**
 * One rollout as people read it: numbered turns with calls and answers, then how it was judged.
 *
 * Everything in here was written by a model, a tool or a task: it reaches the page only through `escapeHtml`.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';
import { solved, type Verdict } from '../core/verdict.ts';
import { escapeHtml } from './text.ts';

export interface Transcript {
  /** Printed above it, e.g. the rollout's path. */
  readonly rollout: string;
  readonly version: number;
  readonly messages: readonly Message[];
  readonly outcome: Outcome;
  /** null when the rollout was not graded. */
  readonly verdict: Verdict | null;
}

export interface TranscriptTurn {
  readonly said: string;
  /** A call and its answer; null when none came. */
  readonly calls: readonly { readonly call: ToolCall; readonly answer: string | null }[];
}

/** One element for each assistant message; an answer finds its call by id. */
export function turnsOf(messages: readonly Message[]): TranscriptTurn[] {
  const answers = new Map(messages.flatMap((one) => (one.role === 'tool' ? [[one.toolCallId, one.content]] : [])));
  return messages.flatMap((message) =>
    message.role === 'assistant'
      ? [
          {
            said: message.content,
            calls: message.toolCalls.map((call) => ({ call, answer: answers.get(call.id) ?? null })),
          },
        ]
      : [],
  );
}

/** The arguments as pairs, or null when they are not the JSON of an object. */
export function argumentsOf(call: ToolCall): readonly (readonly [string, string])[] | null {
  try {
    const value: unknown = JSON.parse(call.arguments);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.entries(value).map(([key, field]) => [
      key,
      typeof field === 'string' ? field : JSON.stringify(field),
    ]);
  } catch {
    // Broken JSON from a model is data: whoever shows the call shows it as it was sampled.
    return null;
  }
}

export const outcomeText = (outcome: Outcome): string => {
  switch (outcome.status) {
    case 'completed':
      return 'finished by itself';
    case 'truncated':
      return `cut off by its limit of ${outcome.by}`;
    case 'failed':
      return `failed in the ${outcome.boundary}: ${outcome.message}`;
    case 'cancelled':
      return `cancelled: ${outcome.why}`;
    default:
      return outcome satisfies never;
  }
};

export function renderTranscript(heading: string, transcript: Transcript): string {
  const turns = turnsOf(transcript.messages);
  return [
    '<article class="transcript">',
    `<div class="top"><div><h3>${escapeHtml(heading)}</h3>`,
    `<p class="id">policy version ${transcript.version} \u00b7 ${escapeHtml(transcript.rollout)}</p></div>`,
    `${verdictMark(transcript.verdict)}</div>`,
    `<ol class="turns">${turns.map((turn, index) => renderTurn(turn, index + 1)).join('\n')}</ol>`,
    renderEnd(transcript, turns.length),
    '</article>',
  ].join('\n');
}

function verdictMark(verdict: Verdict | null): string {
  if (verdict === null) return '<p class="verdict">not graded</p>';
  return solved(verdict) ? '<p class="verdict good">\u2713 solved</p>' : '<p class="verdict bad">\u2717 not solved</p>';
}

function renderTurn(turn: TranscriptTurn, number: number): string {
  const said = turn.said.trim() === '' ? '' : `<p class="said">${escapeHtml(turn.said.trim())}</p>`;
  const calls = turn.calls.map(({ call, answer }) => renderCall(call) + (answer === null ? '' : renderAnswer(answer)));
  const content = said + calls.join('') || '<p class="said">(nothing)</p>';
  return `<li class="turn"><span class="number">${number}</span><div>${content}</div></li>`;
}

function renderCall(call: ToolCall): string {
  const pairs = argumentsOf(call);
  const name = `<b>${escapeHtml(call.name)}</b>`;
  if (pairs === null) return `<p class="call">${name} <span class="unparsed">${escapeHtml(call.arguments)}</span></p>`;
  const short = pairs.filter(([, value]) => !value.includes('\n'));
  const long = pairs.filter(([, value]) => value.includes('\n'));
  const inline = short.map(([key, value]) => ` <span class="key">${escapeHtml(key)}</span>\u00a0${escapeHtml(value)}`);
  const blocks = long.map(
    ([key, value]) => `<p class="call"><span class="key">${escapeHtml(key)}</span></p>${renderGiven(value)}`,
  );
  return `<p class="call">${name}${inline.join('')}</p>${blocks.join('')}`;
}

const renderGiven = (text: string): string => `<pre class="given">${escapeHtml(text)}</pre>`;
// A newline right after <pre> is dropped by the parser, so one is put there that may be dropped.
const renderAnswer = (text: string): string => `<pre>\n${escapeHtml(text)}</pre>`;

function renderEnd({ outcome, verdict }: Transcript, turnCount: number): string {
  const turns = `${turnCount} ${turnCount === 1 ? 'turn' : 'turns'}`;
  const lines = [`<p>${turns}, ${escapeHtml(outcomeText(outcome))}.</p>`];
  if (verdict !== null) {
    const passed = verdict.tests.filter(({ status }) => status === 'passed').length;
    const total = verdict.tests.length + verdict.missing.length;
    const failed = [
      ...verdict.tests.filter(({ status }) => status === 'failed').map(({ id }) => id),
      ...verdict.missing,
    ];
    lines.push(`<p>${passed} of ${total} tests passed, hidden ones among them.</p>`);
    if (failed.length > 0) lines.push(`<p class="tests">Failed: ${failed.map(escapeHtml).join(' \u00b7 ')}</p>`);
    if (!verdict.canariesHeld)
      lines.push('<p class="tests">A test that must fail passed: the result is not trusted.</p>');
  }
  return `<div class="end">${lines.join('')}</div>`;
}
