/**
 * The Agent Trajectory Interchange Format of Harbor, version 1.7, as types: the names are the format's own.
 *
 * Source: https://github.com/harbor-framework/harbor, rfcs/0001-trajectory-format.md, changelog v1.7.
 * Optional fields are left out, never null.
 */

export const atifVersion = 'ATIF-v1.7';

type Extra = Readonly<Record<string, unknown>>;

export interface AtifTrajectory {
  readonly schema_version: string;
  /** One run of an agent: here, the rollout. */
  readonly session_id?: string;
  /** This document: here, the rollout and the branch. */
  readonly trajectory_id?: string;
  readonly agent: AtifAgent;
  readonly steps: readonly AtifStep[];
  readonly notes?: string;
  readonly final_metrics?: AtifFinalMetrics;
  readonly continued_trajectory_ref?: string;
  readonly extra?: Extra;
  readonly subagent_trajectories?: readonly AtifTrajectory[];
}

export interface AtifAgent {
  readonly name: string;
  readonly version: string;
  readonly model_name?: string;
  /** In OpenAI's form: `{ type: 'function', function: { name, description, parameters } }`. */
  readonly tool_definitions?: readonly unknown[];
  readonly extra?: Extra;
}

export interface AtifStep {
  /** 1, 2, ... */
  readonly step_id: number;
  readonly timestamp?: string;
  readonly source: 'system' | 'user' | 'agent';
  readonly message: string | readonly AtifContentPart[];
  /** From here to `metrics`, but for `observation`: only where the source is the agent. */
  readonly model_name?: string;
  readonly reasoning_effort?: string | number;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly AtifToolCall[];
  readonly observation?: { readonly results: readonly AtifObservationResult[] };
  readonly metrics?: AtifMetrics;
  /** Calls of a model that the step stands for; 0 is an action without one. */
  readonly llm_call_count?: number;
  /** Copied from another trajectory for context: nobody may train on it again. */
  readonly is_copied_context?: boolean;
  readonly extra?: Extra;
}

export type AtifContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly source: { readonly media_type: string; readonly path: string } };

export interface AtifToolCall {
  readonly tool_call_id: string;
  readonly function_name: string;
  readonly arguments: Extra;
  readonly extra?: Extra;
}

export interface AtifObservationResult {
  /** A `tool_call_id` of the same step. */
  readonly source_call_id?: string;
  readonly content?: string | readonly AtifContentPart[];
  readonly subagent_trajectory_ref?: readonly Extra[];
  readonly extra?: Extra;
}

export interface AtifMetrics {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly cached_tokens?: number;
  readonly cost_usd?: number;
  readonly prompt_token_ids?: readonly number[];
  readonly completion_token_ids?: readonly number[];
  readonly logprobs?: readonly number[];
  readonly extra?: Extra;
}

export interface AtifFinalMetrics {
  readonly total_prompt_tokens?: number;
  readonly total_completion_tokens?: number;
  readonly total_cached_tokens?: number;
  readonly total_cost_usd?: number;
  readonly total_steps?: number;
  readonly extra?: Extra;
}
