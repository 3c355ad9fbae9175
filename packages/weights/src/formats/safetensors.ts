import type { DType } from '@hass-engine/core'
import { dtypes } from '@hass-engine/core'
import { shown, WeightsError } from '../errors.js'
import { type ByteSource, readBytes } from '../source/byte-source.js'
import { createVerbatimTensor, isDType, type TensorSource } from '../tensor-source.js'
import { byteExtent } from './byte-extent.js'
import { type JsonValue, parseStrictJson } from './strict-json.js'

export interface SafetensorsFile {
  readonly format: 'safetensors'
  readonly tensors: ReadonlyMap<string, TensorSource>
  /** The header's `__metadata__`; empty if there is none. */
  readonly metadata: ReadonlyMap<string, string>
}

/** The cap of the format's own library, so that no file in circulation has more: 100 MB describe a million tensors. */
export const maxSafetensorsHeaderLength = 100_000_000

interface Entry {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/**
 * Reads the header of a safetensors file; tensors are read when asked.
 *
 * The file must be exactly what its header says: the tensors' bytes follow each other without holes and overlaps and
 * end where the file ends.
 *
 * @throws WeightsError `HASS_ERR_SAFETENSORS_HEADER_LENGTH`, `HASS_ERR_SAFETENSORS_HEADER`,
 * `HASS_ERR_SAFETENSORS_OFFSETS`, `HASS_ERR_SHAPE_OVERFLOW`, `HASS_ERR_DUPLICATE_NAME`, `HASS_ERR_DTYPE`,
 * `HASS_ERR_JSON`, `HASS_ERR_TRUNCATED`
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const headerLength = await readHeaderLength(source)
  const header = await readBytes(source, 8, headerLength)
  if (header[0] !== 0x7b) refuseHeader(source, `begins with byte ${header[0]}, expected "{"`)
  const json = parseStrictJson(header, { name: source.name, isIntegersOnly: true }) as ReadonlyMap<string, JsonValue>
  const dataStart = 8 + headerLength
  const entries: Entry[] = []
  let metadata: ReadonlyMap<string, string> = new Map()
  for (const [name, value] of json) {
    if (name === '__metadata__') metadata = parseMetadata(value, source)
    else entries.push(parseEntry(name, value, source))
  }
  checkLayout(entries, source, dataStart)
  const tensors = new Map(
    entries.map((entry) => {
      const offset = dataStart + entry.begin
      const { name, dtype, shape } = entry
      const byteLength = entry.end - entry.begin
      return [name, createVerbatimTensor({ name, dtype, shape, offset, byteLength }, source)]
    }),
  )
  return { format: 'safetensors', tensors, metadata }
}

async function readHeaderLength(source: ByteSource): Promise<number> {
  const bytes = await readBytes(source, 0, 8)
  const declared = new DataView(bytes.buffer).getBigUint64(0, true)
  const available = Math.min(source.size - 8, maxSafetensorsHeaderLength)
  if (declared >= 2n && declared <= BigInt(available)) return Number(declared)
  throw new WeightsError(
    'HASS_ERR_SAFETENSORS_HEADER_LENGTH',
    `${source.name} declares a header of ${declared} bytes, expected 2 to ${available}: it is cut, or no safetensors file.`,
    { file: source.name, found: declared, size: source.size },
  )
}

function parseMetadata(value: JsonValue, source: ByteSource): ReadonlyMap<string, string> {
  const isStrings = value instanceof Map && [...value.values()].every((text) => typeof text === 'string')
  if (!isStrings) refuseHeader(source, 'has a __metadata__ that is no object of strings')
  return value as ReadonlyMap<string, string>
}

const entryKeys = ['dtype', 'shape', 'data_offsets']

function parseEntry(name: string, value: JsonValue, source: ByteSource): Entry {
  if (!(value instanceof Map) || value.size !== 3 || !entryKeys.every((key) => value.has(key))) {
    return refuseHeader(source, `describes ${shown(name)} by something else than ${entryKeys.join(', ')}`)
  }
  const dtype = value.get('dtype')
  if (typeof dtype !== 'string' || !isDType(dtype)) {
    throw new WeightsError(
      'HASS_ERR_DTYPE',
      `Tensor ${shown(name)} in ${source.name} has the dtype ${shown(String(dtype))}, expected one of ${dtypes.join(', ')}.`,
      { file: source.name, name, dtype },
    )
  }
  const shape = numbers(value.get('shape'), () =>
    refuseHeader(source, `has no list of numbers as shape of ${shown(name)}`),
  )
  const offsets = numbers(value.get('data_offsets'), () =>
    refuseHeader(source, `has no two numbers as data_offsets of ${shown(name)}`),
  )
  const [begin, end] = offsets
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    return refuseHeader(source, `has no two numbers as data_offsets of ${shown(name)}`)
  }
  const { byteLength } = byteExtent(shape, dtype, { file: source.name, name })
  if (begin < 0 || end - begin !== byteLength) {
    throw new WeightsError(
      'HASS_ERR_SAFETENSORS_OFFSETS',
      `Tensor ${shown(name)} in ${source.name} is [${shape}] ${dtype} and takes bytes ${begin} to ${end}, expected ${byteLength} bytes.`,
      { file: source.name, name, shape, dtype, begin, end },
    )
  }
  return { name, dtype, shape, begin, end }
}

function numbers(value: JsonValue | undefined, refuse: () => never): readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number') ? (value as number[]) : refuse()
}

function checkLayout(entries: readonly Entry[], source: ByteSource, dataStart: number): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)
  let end = 0
  for (const entry of sorted) {
    if (entry.begin !== end) {
      throw new WeightsError(
        'HASS_ERR_SAFETENSORS_OFFSETS',
        `Tensor ${shown(entry.name)} in ${source.name} begins at ${entry.begin}, expected ${end}: tensors must neither overlap nor leave holes.`,
        { file: source.name, name: entry.name, found: entry.begin, expected: end },
      )
    }
    end = entry.end
  }
  const expected = dataStart + end
  if (source.size === expected) return
  throw new WeightsError(
    source.size < expected ? 'HASS_ERR_TRUNCATED' : 'HASS_ERR_SAFETENSORS_OFFSETS',
    `${source.name} has ${source.size} bytes, expected ${expected}: ${source.size < expected ? 'it is incomplete, fetch it again' : 'bytes behind the last tensor belong to nothing'}.`,
    { file: source.name, found: source.size, expected },
  )
}

function refuseHeader(source: ByteSource, what: string): never {
  throw new WeightsError('HASS_ERR_SAFETENSORS_HEADER', `The header of ${source.name} ${what}.`, { file: source.name })
}
