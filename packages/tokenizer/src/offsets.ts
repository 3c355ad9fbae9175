/**
 * Turns code point positions of a text into UTF-16 ones.
 *
 * @param offsets `[tokens][2]` start and end, code points
 * @returns `[tokens, 2] uint32` row-major, UTF-16 units
 */
export function toUtf16Offsets(text: string, offsets: readonly (readonly number[])[]): Uint32Array {
  const result = new Uint32Array(offsets.length * 2)
  const units = utf16Positions(text)
  for (let i = 0; i < offsets.length; i++) {
    const [start, end] = offsets[i]! as [number, number]
    result[2 * i] = units ? units[start]! : start
    result[2 * i + 1] = units ? units[end]! : end
  }
  return result
}

/** `[codePoints + 1]` position of each code point; undefined if the two countings agree. */
function utf16Positions(text: string): Uint32Array | undefined {
  if (!/[\ud800-\udbff]/.test(text)) return undefined
  const positions = new Uint32Array(text.length + 1)
  let codePoints = 0
  for (let unit = 0; unit < text.length; codePoints++) {
    positions[codePoints] = unit
    unit += text.codePointAt(unit)! > 0xffff ? 2 : 1
  }
  positions[codePoints] = text.length
  return positions.subarray(0, codePoints + 1)
}
