/**
 * GPT-2's byte alphabet: printable bytes stand for themselves, the other 68 for the characters from U+0100 on.
 * Source: the `bytes_to_unicode` table of GPT-2's byte-level BPE.
 */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  const table = new Map<string, number>()
  let shifted = 0x100
  for (let byte = 0; byte < 256; byte++) {
    table.set(String.fromCharCode(isPrintable(byte) ? byte : shifted++), byte)
  }
  return table
})()

const utf8 = new TextEncoder()

/**
 * The bytes that a byte-level token stands for.
 *
 * A token with any character outside the alphabet (an added token such as `<｜User｜>`) stands for its own UTF-8.
 */
export function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token[i]!)
    if (byte === undefined) return utf8.encode(token)
    bytes[i] = byte
  }
  return bytes
}
