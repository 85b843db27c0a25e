/** A tool that the model may call. `parameters` is a JSON Schema object, passed to the chat template as it is. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}
