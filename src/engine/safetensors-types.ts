/** The number types of safetensors files that are read, little-endian, as float32. Exact: no value is rounded. */

const widths: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Bytes of one number, or undefined for a type that is not read. */
export function widthOf(dtype: string): number | undefined {
  return Object.hasOwn(widths, dtype) ? widths[dtype] : undefined;
}

/** F32 is a view where alignment allows it, else a copy. `dtype` is one that `widthOf` knows. */
export function decodeFloats(dtype: string, bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  if (dtype === 'F32') return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  if (dtype === 'BF16') {
    // The upper half of a float32.
    for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  } else {
    for (let i = 0; i < halves.length; i++) bits[i] = halfToSingle(halves[i] as number);
  }
  return values;
}

/** Bits of an IEEE 754 binary16 to those of the same binary32. */
function halfToSingle(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal, fraction * 2^-24: the highest set bit moves into the hidden one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
