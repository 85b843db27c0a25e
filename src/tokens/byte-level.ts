/**
 * The byte-level alphabet of GPT-2 and its heirs: each of the 256 bytes is one printable character, so that a BPE
 * vocabulary can be written as JSON strings. Not a tokenizer.
 */

const printable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

function alphabet(): string[] {
  const characters: string[] = [];
  let shifted = 0;
  for (let byte = 0; byte < 256; byte++) {
    characters.push(String.fromCharCode(printable(byte) ? byte : 256 + shifted++));
  }
  return characters;
}

/** Character of each byte: 256 strings of length 1. */
export const characterOfByte: readonly string[] = alphabet();

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte): [string, number] => [character, byte]),
);

/** The bytes that a vocabulary entry stands for, or null when a character is not of the alphabet. */
export function bytesOfToken(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token[i] as string);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
