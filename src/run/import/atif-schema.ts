/**
 * What an ATIF document may be, versions 1.0 to 1.8, as strict as the format's own validator: no unknown fields, steps
 * numbered from 1, fields of the agent on its steps alone, results that answer a call of their step.
 *
 * Source: https://github.com/harbor-framework/harbor, rfcs/0001-trajectory-format.md. Null is a field that is not there.
 * Not checked: what media are of and whether their files exist, times, and whether references lead anywhere.
 */
import { z } from 'zod';

const extra = z.record(z.string(), z.unknown()).nullish();
const count = z.number().int().min(0).nullish();
const media = z.looseObject({ media_type: z.string(), path: z.string() });
const absent = z.null().optional();
const parts = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: z.string(), source: absent }),
  z.strictObject({ type: z.enum(['image', 'audio']), source: media, text: absent }),
]);
const content = z.union([z.string(), z.array(parts)]);

const toolCall = z.strictObject({
  tool_call_id: z.string(),
  function_name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  extra,
});

const subagentRef = z.strictObject({
  trajectory_id: z.string().nullish(),
  trajectory_path: z.string().nullish(),
  session_id: z.string().nullish(),
  extra,
});

const observation = z.strictObject({
  results: z.array(
    z.strictObject({
      source_call_id: z.string().nullish(),
      content: content.nullish(),
      subagent_trajectory_ref: z.array(subagentRef).nullish(),
      extra,
    }),
  ),
});

const metrics = z.strictObject({
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: count,
  cost_usd: z.number().nullish(),
  prompt_token_ids: z.array(z.number().int()).nullish(),
  completion_token_ids: z.array(z.number().int()).nullish(),
  logprobs: z.array(z.number()).nullish(),
  extra,
});

const agentFields = ['model_name', 'reasoning_effort', 'reasoning_content', 'tool_calls', 'metrics'] as const;

const step = z
  .strictObject({
    step_id: z.number().int().min(1),
    timestamp: z.string().nullish(),
    source: z.enum(['system', 'user', 'agent']),
    model_name: z.string().nullish(),
    reasoning_effort: z.union([z.string(), z.number()]).nullish(),
    message: content,
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
    observation: observation.nullish(),
    metrics: metrics.nullish(),
    llm_call_count: count,
    is_copied_context: z.boolean().nullish(),
    extra,
  })
  .superRefine((value, context) => {
    const refuse = (field: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [field], message });
    if (value.source !== 'agent') {
      for (const field of agentFields) if (value[field] != null) refuse(field, 'only a step of the agent has it');
    } else if (value.llm_call_count === 0) {
      for (const field of ['metrics', 'reasoning_content'] as const) {
        if (value[field] != null) refuse(field, 'a step without a call of a model has none');
      }
    }
    const calls = new Set(value.tool_calls?.map(({ tool_call_id }) => tool_call_id));
    for (const { source_call_id: call } of value.observation?.results ?? []) {
      if (call != null && !calls.has(call)) refuse('observation', `${call} is no tool call of the step`);
    }
  });

export const atifSchema = z
  .strictObject({
    schema_version: z.string().regex(/^ATIF-v1\.[0-8]$/, 'versions ATIF-v1.0 to ATIF-v1.8 are read'),
    session_id: z.string().nullish(),
    trajectory_id: z.string().nullish(),
    agent: z.strictObject({
      name: z.string(),
      version: z.string(),
      model_name: z.string().nullish(),
      tool_definitions: z.array(z.record(z.string(), z.unknown())).nullish(),
      extra,
    }),
    steps: z.array(step).min(1),
    notes: z.string().nullish(),
    final_metrics: z
      .strictObject({
        total_prompt_tokens: count,
        total_completion_tokens: count,
        total_cached_tokens: count,
        total_cost_usd: z.number().nullish(),
        total_steps: count,
        extra,
      })
      .nullish(),
    continued_trajectory_ref: z.string().nullish(),
    extra,
    get subagent_trajectories() {
      return z.array(atifSchema).nullish();
    },
  })
  .superRefine(({ steps, subagent_trajectories: inner }, context) => {
    steps.forEach(({ step_id }, at) => {
      if (step_id === at + 1) return;
      context.addIssue({ code: 'custom', path: ['steps', at, 'step_id'], message: `expected ${at + 1}` });
    });
    const ids = inner?.map(({ trajectory_id }) => trajectory_id) ?? [];
    if (ids.some((id) => id == null) || new Set(ids).size < ids.length) {
      context.addIssue({
        code: 'custom',
        path: ['subagent_trajectories'],
        message: 'each needs a trajectory_id of its own',
      });
    }
  });

export type AtifDocument = z.output<typeof atifSchema>;
export type AtifDocumentStep = AtifDocument['steps'][number];
