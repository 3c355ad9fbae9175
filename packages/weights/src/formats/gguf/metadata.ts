import { shown, WeightsError } from '../../errors.js'
import type { GgufCursor } from './cursor.js'

/** 64-bit integers are numbers where a number holds them exactly, else bigint. */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[]

/** Known files nest no deeper than one array; the stack stands far more than this. */
const maxDepth = 64
/** The format's own limit. */
const maxKeyLength = 65_535
/** A vocabulary array has a few hundred thousand; an element becomes at least eight bytes here, in the file maybe one. */
const maxArrayElements = 2 ** 24

const stringType = 8
const arrayType = 9
const alignmentKey = 'general.alignment'
const uint32Type = 4

interface ScalarReader {
  readonly bytes: number
  readonly read: (cursor: GgufCursor) => GgufValue
}

const scalars: ReadonlyMap<number, ScalarReader> = new Map<number, ScalarReader>([
  [0, { bytes: 1, read: (cursor) => cursor.uint8() }],
  [1, { bytes: 1, read: (cursor) => cursor.int8() }],
  [2, { bytes: 2, read: (cursor) => cursor.uint16() }],
  [3, { bytes: 2, read: (cursor) => cursor.int16() }],
  [uint32Type, { bytes: 4, read: (cursor) => cursor.uint32() }],
  [5, { bytes: 4, read: (cursor) => cursor.int32() }],
  [6, { bytes: 4, read: (cursor) => cursor.float32() }],
  [7, { bytes: 1, read: readBoolean }],
  [stringType, { bytes: 8, read: (cursor) => cursor.string('string value') }],
  [10, { bytes: 8, read: (cursor) => exactNumber(cursor.uint64()) }],
  [11, { bytes: 8, read: (cursor) => exactNumber(cursor.int64()) }],
  [12, { bytes: 8, read: (cursor) => cursor.float64() }],
])

function exactNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function readBoolean(cursor: GgufCursor): boolean {
  const byte = cursor.uint8()
  if (byte > 1) {
    throw new WeightsError(
      'HASS_ERR_GGUF_FIELD',
      `${cursor.source.name} has the byte ${byte} as boolean at offset ${cursor.position - 1}, expected 0 or 1.`,
      { file: cursor.source.name, offset: cursor.position - 1, found: byte },
    )
  }
  return byte === 1
}

/**
 * Reads `count` key-value pairs.
 *
 * @throws WeightsError `HASS_ERR_GGUF_COUNT`, `HASS_ERR_GGUF_DEPTH`, `HASS_ERR_GGUF_FIELD`, `HASS_ERR_GGUF_TYPE`,
 * `HASS_ERR_DUPLICATE_NAME`, `HASS_ERR_TRUNCATED`
 */
export function readGgufMetadata(cursor: GgufCursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>()
  const budget = { elements: maxArrayElements }
  const file = cursor.source.name
  for (let i = 0; i < count; i++) {
    const key = cursor.string('key', maxKeyLength)
    if (key === '') {
      throw new WeightsError('HASS_ERR_GGUF_FIELD', `${file} has an empty metadata key (number ${i}).`, {
        file,
        index: i,
      })
    }
    if (metadata.has(key)) {
      throw new WeightsError('HASS_ERR_DUPLICATE_NAME', `${file} has the metadata key ${shown(key)} twice.`, {
        file,
        name: key,
      })
    }
    const type = cursor.uint32()
    if (key === alignmentKey && type !== uint32Type) {
      throw new WeightsError(
        'HASS_ERR_GGUF_TYPE',
        `${file} has ${alignmentKey} of type ${type}, expected ${uint32Type} (uint32).`,
        { file, key, found: type },
      )
    }
    metadata.set(key, readValue(cursor, type, key, 0, budget))
  }
  return metadata
}

function readValue(
  cursor: GgufCursor,
  type: number,
  key: string,
  depth: number,
  budget: { elements: number },
): GgufValue {
  const scalar = scalars.get(type)
  if (scalar) return scalar.read(cursor)
  if (type === arrayType) return readArray(cursor, key, depth + 1, budget)
  throw new WeightsError(
    'HASS_ERR_GGUF_TYPE',
    `${cursor.source.name} has the value type ${type} at key ${shown(key)}, expected 0 to 12.`,
    { file: cursor.source.name, key, found: type },
  )
}

function readArray(cursor: GgufCursor, key: string, depth: number, budget: { elements: number }): readonly GgufValue[] {
  if (depth > maxDepth) {
    throw new WeightsError(
      'HASS_ERR_GGUF_DEPTH',
      `${cursor.source.name} nests arrays more than ${maxDepth} deep at key ${shown(key)}.`,
      { file: cursor.source.name, key, max: maxDepth },
    )
  }
  const type = cursor.uint32()
  // A nested array takes at least its own type and count.
  const minBytes = scalars.get(type)?.bytes ?? 12
  const count = cursor.count(`elements of ${shown(key)}`, minBytes, budget.elements)
  budget.elements -= count
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(readValue(cursor, type, key, depth, budget))
  if (count === 0) checkElementType(cursor, type, key)
  return values
}

/** An empty array reads no value that would complain. */
function checkElementType(cursor: GgufCursor, type: number, key: string): void {
  if (scalars.has(type) || type === arrayType) return
  throw new WeightsError(
    'HASS_ERR_GGUF_TYPE',
    `${cursor.source.name} has elements of type ${type} at key ${shown(key)}, expected 0 to 12.`,
    { file: cursor.source.name, key, found: type },
  )
}
