/** What a rollout did on the proxy, in facts of the record. */
export interface SessionFacts {
  readonly turns: number;
  readonly exactTurns: number;
  readonly sampledTokens: number;
  readonly toolCalls: number;
  /** Turns with two or more tool calls. */
  readonly parallelTurns: number;
  readonly retokenizedSampledTokens: number;
  /** Which limit cut the last turn, or null: the session's tokens a turn, or the model's context. */
  readonly truncatedBy: 'tokens' | 'context' | null;
}
