import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { checkNumber, checkOptionKeys, type DType, dtypeSize, InvalidArgumentError } from '@hass-engine/core'
import { shown } from '../errors.js'
import { type Append, type FileSystem, type FileToWrite, writeAtomically } from './atomic-write.js'
import { byteExtent } from './byte-extent.js'
import { maxSafetensorsHeaderLength } from './safetensors.js'

/** A tensor to write. */
export interface WritableTensor {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  /** Little-endian, row-major; as a function, it is asked for when its turn comes, so that one tensor is held at a time. */
  readonly data: Uint8Array | (() => Uint8Array | Promise<Uint8Array>)
}

export interface WriteSafetensorsOptions {
  /** The header's `__metadata__`. Defaults to `{ format: 'pt' }`, without which transformers refuses the file. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Stands in for `node:fs/promises`. Defaults to that. */
  readonly fileSystem?: FileSystem
}

export interface WriteShardsOptions extends WriteSafetensorsOptions {
  /** Bytes of tensors in one file, if no single tensor has more. Defaults to 5e9, as transformers does. */
  readonly maxShardBytes?: number
}

/**
 * Writes one safetensors file, atomically: the path holds the old file or the whole new one, never a part.
 *
 * The same tensors give the same bytes, in whatever order they come.
 *
 * @throws WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`, `HASS_ERR_SHAPE_OVERFLOW`
 * @throws InvalidArgumentError for two tensors of one name, or data of the wrong length
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<WritableTensor>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  checkOptionKeys(options, ['metadata', 'fileSystem'], 'writeSafetensors')
  const file = safetensorsFile(path, [...tensors], options.metadata)
  await writeAtomically([file], options.fileSystem)
}

/**
 * Writes a model's weights into a folder as the hub has them: `model.safetensors` if they fit into one shard, else
 * `model-00001-of-0000N.safetensors` … and `model.safetensors.index.json`, which is renamed last.
 *
 * All files are complete on disk before the first takes its name; after the last, the file of the other layout, now
 * out of date, is removed.
 *
 * @returns the names of the files written
 * @throws WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`, `HASS_ERR_SHAPE_OVERFLOW`
 * @throws InvalidArgumentError for two tensors of one name, or data of the wrong length
 */
export async function writeShardedSafetensors(
  folder: string,
  tensors: Iterable<WritableTensor>,
  options: WriteShardsOptions = {},
): Promise<string[]> {
  checkOptionKeys(options, ['metadata', 'fileSystem', 'maxShardBytes'], 'writeShardedSafetensors')
  const { metadata, fileSystem, maxShardBytes = 5e9 } = options
  checkNumber(maxShardBytes, 'maxShardBytes', { min: 1 })
  const shards = split([...tensors], maxShardBytes)
  const indexName = 'model.safetensors.index.json'
  const shardName = (index: number) =>
    shards.length === 1 ? 'model.safetensors' : `model-${digits(index + 1)}-of-${digits(shards.length)}.safetensors`
  checkNames(shards.flat())
  const files = shards.map((shard, index) => safetensorsFile(join(folder, shardName(index)), shard, metadata))
  const names = shards.map((_, index) => shardName(index))
  if (shards.length > 1) {
    const weightMap = shards.flatMap((shard, index) => shard.map(({ name }) => [name, shardName(index)] as const))
    const totalSize = shards.flat().reduce((sum, tensor) => sum + byteLengthOf(tensor), 0)
    const index = { metadata: { total_size: totalSize }, weight_map: objectOf(weightMap.sort(byName)) }
    const bytes = new TextEncoder().encode(`${JSON.stringify(index, null, 2)}\n`)
    files.push({ path: join(folder, indexName), write: (append) => append(bytes) })
    names.push(indexName)
  }
  await writeAtomically(files, fileSystem)
  await rm(join(folder, shards.length === 1 ? indexName : 'model.safetensors'), { force: true })
  return names
}

function digits(index: number): string {
  return String(index).padStart(5, '0')
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

/** `__proto__` becomes a key of its own here; an assignment would lose it. */
function objectOf(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries)
}

function split(tensors: readonly WritableTensor[], maxBytes: number): WritableTensor[][] {
  const shards: WritableTensor[][] = [[]]
  let bytes = 0
  for (const tensor of tensors) {
    const more = byteLengthOf(tensor)
    if (bytes + more > maxBytes && shards.at(-1)!.length > 0) {
      shards.push([])
      bytes = 0
    }
    shards.at(-1)!.push(tensor)
    bytes += more
  }
  return shards
}

function byteLengthOf({ shape, dtype, name }: WritableTensor): number {
  return byteExtent(shape, dtype, { file: 'the tensors to write', name }).byteLength
}

export function safetensorsFile(
  path: string,
  tensors: readonly WritableTensor[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): FileToWrite {
  checkNames(tensors)
  // Larger elements first, so that every tensor is aligned to its element size.
  const sorted = [...tensors].sort(
    (a, b) => dtypeSize(b.dtype) - dtypeSize(a.dtype) || byName([a.name, a], [b.name, b]),
  )
  const header = encodeHeader(sorted, metadata)
  return {
    path,
    async write(append) {
      await append(header)
      for (const tensor of sorted) await appendTensor(tensor, append)
    },
  }
}

async function appendTensor(tensor: WritableTensor, append: Append): Promise<void> {
  const bytes = typeof tensor.data === 'function' ? await tensor.data() : tensor.data
  const expected = byteLengthOf(tensor)
  if (bytes.byteLength !== expected) {
    throw new InvalidArgumentError(
      `Tensor ${tensor.name} [${tensor.shape}] ${tensor.dtype} was given ${bytes.byteLength} bytes, expected ${expected}.`,
      { name: tensor.name, found: bytes.byteLength, expected },
    )
  }
  await append(bytes)
}

function checkNames(tensors: readonly WritableTensor[]): void {
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name) || name === '__metadata__') {
      throw new InvalidArgumentError(`Tensor name ${shown(name)} is taken: every tensor needs a name of its own.`, {
        name,
      })
    }
    names.add(name)
  }
}

/** Length and JSON, filled up with spaces so that the data begins at a multiple of eight. */
function encodeHeader(tensors: readonly WritableTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let end = 0
  const entries = tensors.map((tensor) => {
    const begin = end
    end += byteLengthOf(tensor)
    return [tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }] as const
  })
  const json = new TextEncoder().encode(JSON.stringify(objectOf([['__metadata__', metadata], ...entries])))
  const length = Math.ceil(json.byteLength / 8) * 8
  if (length > maxSafetensorsHeaderLength) {
    throw new InvalidArgumentError(
      `The header of ${tensors.length} tensors has ${length} bytes, at most ${maxSafetensorsHeaderLength} can be read again: write shards.`,
      { tensors: tensors.length, length, max: maxSafetensorsHeaderLength },
    )
  }
  const header = new Uint8Array(8 + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, 8)
  return header
}
