/** How deep JSON is nested: what walks it recursively later must not run out of stack at a hostile body. */

/** True when `value` holds more than `levels` objects and arrays within one another. Not recursive itself. */
export function nestsDeeper(value: unknown, levels: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 0; depth < levels; depth++) {
    if (level.length === 0) return false;
    const inner: object[] = [];
    for (const outer of level) for (const child of Object.values(outer)) if (isNested(child)) inner.push(child);
    level = inner;
  }
  return level.length > 0;
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null;
