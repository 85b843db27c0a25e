/**
 * A branch of a rollout as an ATIF document.
 *
 * Invariants:
 * 1. A sampled reply is a new step of exactly one document; where branches share it, later ones mark it as copied.
 * 2. Ids and log-probabilities are the recorded ones, or not there.
 * 3. Nothing is made up: no time, cost or cache hit, as none is recorded.
 */
import type { Message, ToolCall } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import type { TurnRecord } from '../../trajectory/records.ts';
import type { Branch, BranchMessage } from '../../trajectory/transcript.ts';
import type { RecordedTurn } from '../../trajectory/turns.ts';
import {
  type AtifAgent,
  type AtifMetrics,
  type AtifObservationResult,
  type AtifStep,
  type AtifToolCall,
  type AtifTrajectory,
  atifVersion,
} from './atif.ts';
import type { RolloutNotes } from './rollout-notes.ts';
import { shortFloats } from './sample-rows.ts';

/** A turn with what is told of it. */
export interface DocumentTurn {
  readonly turn: RecordedTurn;
  readonly record: TurnRecord;
  /** '' when it did not think, or where that is not known. */
  readonly thinking: string;
  /** Its ids hold a secret and stay away. */
  readonly secret: boolean;
}

export interface AtifSource {
  readonly notes: RolloutNotes;
  readonly agent: Omit<AtifAgent, 'tool_definitions'>;
  readonly turns: ReadonlyMap<number, DocumentTurn>;
  /** Tools of the branch. */
  readonly tools: readonly ToolDefinition[];
}

export type BranchDocument = AtifTrajectory & { readonly trajectory_id: string };

export function atifDocument(branch: Branch, at: number, source: AtifSource): BranchDocument {
  const { rollout, ...facts } = source.notes;
  const steps = stepsOf(branch.messages, source);
  const sum = (name: 'prompt_tokens' | 'completion_tokens'): number =>
    steps.reduce((total, { metrics }) => total + (metrics?.[name] ?? 0), 0);
  return {
    schema_version: atifVersion,
    session_id: rollout,
    trajectory_id: trajectoryId(rollout, at),
    agent: { ...source.agent, ...(source.tools.length > 0 && { tool_definitions: source.tools.map(toolDefinition) }) },
    steps,
    final_metrics: {
      total_prompt_tokens: sum('prompt_tokens'),
      total_completion_tokens: sum('completion_tokens'),
      total_steps: steps.length,
    },
    extra: { ...facts, branch: at, ...(branch.fork !== null && { fork: forkOf(rollout, branch.fork) }) },
  };
}

export const trajectoryId = (rollout: string, branch: number): string => `${rollout}/branch/${branch}`;

function forkOf(rollout: string, { branch, messages }: NonNullable<Branch['fork']>) {
  return { trajectory_id: trajectoryId(rollout, branch), messages };
}

const toolDefinition = (tool: ToolDefinition) => ({ type: 'function', function: tool });

function stepsOf(messages: readonly BranchMessage[], source: AtifSource): AtifStep[] {
  const steps: AtifStep[] = [];
  for (const each of messages) {
    const { message } = each;
    const last = steps.at(-1);
    if (message.role === 'tool' && last !== undefined && last.source === 'agent') {
      steps[steps.length - 1] = observed(last, message);
    } else {
      const copied = each.shared && { is_copied_context: true };
      steps.push({ step_id: steps.length + 1, ...stepOf(each, source), ...copied });
    }
  }
  return steps;
}

function stepOf({ message, turn, shared }: BranchMessage, source: AtifSource): Omit<AtifStep, 'step_id'> {
  switch (message.role) {
    case 'system':
    case 'user':
      return { source: message.role, message: message.content };
    case 'tool':
      // An answer that stands before any call: the only step without an agent that may hold an observation.
      return { source: 'system', message: '', observation: { results: [{ content: message.content }] } };
    case 'assistant': {
      const sampled = turn === null ? undefined : source.turns.get(turn);
      return {
        source: 'agent',
        message: message.content,
        ...(message.toolCalls.length > 0 && { tool_calls: message.toolCalls.map(toolCall) }),
        ...(sampled === undefined ? { extra: { sampled: false } } : sampledFields(sampled, shared)),
      };
    }
    default:
      return message satisfies never;
  }
}

/** A copied step has been counted where it was new. */
function sampledFields(one: DocumentTurn, shared: boolean): Partial<AtifStep> {
  const { turn, record, thinking } = one;
  return {
    ...(record.relay !== undefined && { model_name: record.relay.model }),
    ...(thinking !== '' && { reasoning_content: thinking }),
    ...(!shared && { metrics: metricsOf(one) }),
    llm_call_count: 1,
    extra: { turn: turn.index, finish_reason: turn.finishReason },
  };
}

function metricsOf({ turn, record, secret }: DocumentTurn): AtifMetrics {
  const extra = {
    fidelity: turn.fidelity,
    reused_tokens: turn.reused,
    retokenized_sampled_tokens: turn.retokenizedSampledTokens,
    // A foreign upstream tells no version: -1.
    ...((turn.versions[0] ?? -1) >= 0 && { policy_versions: [turn.versions[0], turn.versions.at(-1)] }),
    ...(record.break !== null && { break: record.break }),
  };
  if (turn.fidelity === 'text') {
    const usage = record.relay?.usage;
    const counted = usage && { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens };
    return { ...counted, extra };
  }
  return {
    prompt_tokens: turn.prompt.length,
    completion_tokens: turn.completion.length,
    ...(!secret && {
      prompt_token_ids: [...turn.prompt],
      completion_token_ids: [...turn.completion],
      logprobs: shortFloats(turn.behaviorLogprobs),
    }),
    extra,
  };
}

function toolCall(call: ToolCall): AtifToolCall {
  const value = objectOf(call.arguments);
  return {
    tool_call_id: call.id,
    function_name: call.name,
    arguments: value ?? {},
    // The format asks for an object; what a model wrote in its place is kept as it is.
    ...(value === null && { extra: { arguments_text: call.arguments } }),
  };
}

function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}

function observed(step: AtifStep, answer: Extract<Message, { role: 'tool' }>): AtifStep {
  const asked = step.tool_calls?.some(({ tool_call_id }) => tool_call_id === answer.toolCallId) === true;
  const result: AtifObservationResult = {
    ...(asked && { source_call_id: answer.toolCallId }),
    content: answer.content,
  };
  return { ...step, observation: { results: [...(step.observation?.results ?? []), result] } };
}
