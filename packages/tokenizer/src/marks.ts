import { InvalidArgumentError } from '@hass-engine/core'

/** Deeper messages are refused: templates look two or three levels down. */
const maxDepth = 64
/** Unicode's noncharacters: never part of exchanged text, so one of them is nearly always free. */
const noncharacters = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i))

/**
 * A deep copy of plain data (what JSON can hold, and `undefined`) with every string changed by `map`.
 *
 * @throws InvalidArgumentError for functions, class instances, bigints and nesting beyond 64: a template gets data only
 */
export function mapStrings<T>(value: T, map: (text: string) => string, path: string, depth = 0): T {
  const result = (() => {
    if (typeof value === 'string') return map(value)
    if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number') return value
    if (depth < maxDepth && Array.isArray(value)) {
      return value.map((item, index) => mapStrings(item, map, `${path}[${index}]`, depth + 1))
    }
    if (depth < maxDepth && isPlainObject(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, mapStrings(item, map, `${path}.${key}`, depth + 1)]),
      )
    }
    const shortPath = path.length > 80 ? `${path.slice(0, 80)}…` : path
    throw new InvalidArgumentError(
      `${shortPath} is ${depth < maxDepth ? `a ${typeof value}` : `nested deeper than ${maxDepth} levels`}; chat templates take plain data (strings, numbers, booleans, null, arrays, objects).`,
      { path: shortPath, type: typeof value },
    )
  })()
  return result as T
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/**
 * Characters that occur in none of these texts, to mark places in a rendering.
 *
 * @throws InvalidArgumentError if the texts hold every noncharacter
 */
export function unusedMarks(count: number, data: unknown): string[] {
  const used = new Set<string>()
  const note = (text: string) => {
    for (const [match] of text.matchAll(/[\ufdd0-\ufdef]/g)) used.add(match)
    return text
  }
  mapStrings(data, note, 'messages')
  const free = noncharacters.filter((mark) => !used.has(mark)).slice(0, count)
  if (free.length === count) return free
  throw new InvalidArgumentError(
    'The messages hold Unicode noncharacters U+FDD0 to U+FDEF in great number; remove them.',
  )
}

/** A text without its marks, and where each mark stood, in UTF-16 units of the text without them. */
export function takeOutMarks(
  marked: string,
  marks: readonly string[],
): { text: string; places: { mark: string; at: number }[] } {
  const places: { mark: string; at: number }[] = []
  let text = ''
  let from = 0
  for (let i = 0; i < marked.length; i++) {
    const mark = marked[i]!
    if (mark < '\ufdd0' || mark > '\ufdef' || !marks.includes(mark)) continue
    text += marked.slice(from, i)
    places.push({ mark, at: text.length })
    from = i + 1
  }
  return { text: text + marked.slice(from), places }
}
