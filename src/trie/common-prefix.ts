/** Number of equal tokens at the start of a[aStart, ...) and b[bStart, ...), at most `limit`. Both must be that long. */
export function commonPrefix(a: Int32Array, aStart: number, b: Int32Array, bStart: number, limit: number): number {
  let i = 0;
  while (i < limit && a[aStart + i] === b[bStart + i]) i++;
  return i;
}
