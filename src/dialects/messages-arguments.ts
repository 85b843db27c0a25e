/**
 * The arguments of a sampled call as the object that a `tool_use` block holds, and back.
 *
 * Clients parse `input` and fail on anything but an object, and a model that is trained samples broken JSON. An empty
 * object in its place would run tools that need no argument; a field that no tool has makes the client answer with an
 * error, as it does for any wrong argument, and carries the text there and back.
 *
 * Invariant: argumentsOf(toolInput(text)) is `text`, or, when `text` is a JSON object, the same object.
 */
import { nestsDeeper } from '../core/json-depth.ts';
import type { JsonObject } from './json-reader.ts';

/** The field of an `input` that stands for arguments which are no JSON object. */
export const brokenArguments = 'invalid_json_arguments';

/** An object that is nested deeper stays text: it could not come back through the proxy's limit on bodies. */
const maxLevels = 100;

export function toolInput(text: string): JsonObject {
  const value = objectIn(text);
  // A model that samples the stand-in itself gets it wrapped once more, so that the way back is one.
  return value === null || isStandIn(value) ? { [brokenArguments]: text } : value;
}

export function argumentsOf(input: JsonObject): string {
  return isStandIn(input) ? input[brokenArguments] : JSON.stringify(input);
}

function isStandIn(input: JsonObject): input is { readonly [brokenArguments]: string } {
  return typeof input[brokenArguments] === 'string' && Object.keys(input).length === 1;
}

function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return nestsDeeper(value, maxLevels) ? null : (value as JsonObject);
  } catch {
    return null;
  }
}
