import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The oracle data: `test/golden`, or a folder of the same layout with other seeds, shapes and sizes. */
export const goldenDir = process.env.HASS_GOLDEN_DIR ?? fileURLToPath(new URL('../golden', import.meta.url))

export function goldenPath(...parts: string[]): string {
  return join(goldenDir, ...parts)
}

/** Names of the files or folders of a golden folder, sorted; none if it does not exist. */
export function listGolden(folder: string, pattern = /./): string[] {
  const path = goldenPath(folder)
  return existsSync(path)
    ? readdirSync(path)
        .filter((name) => pattern.test(name))
        .sort()
    : []
}

// biome-ignore lint/suspicious/noExplicitAny: golden JSON is described in its README, file by file
export function readGoldenJson(...parts: string[]): any {
  return JSON.parse(readFileSync(goldenPath(...parts), 'utf8'))
}

export interface GoldenTensor {
  readonly dtype: string
  readonly shape: readonly number[]
  /** Float32Array for F32, BigInt64Array for I64, Int32Array for I32, Uint8Array for U8, the raw bytes for others. */
  readonly data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array
}

/**
 * A safetensors file as it is. Deliberately without checks and independent of `@hass-engine/weights`: tests of
 * other packages must not depend on the package under test.
 */
export function readGoldenTensors(...parts: string[]): Map<string, GoldenTensor> {
  const file = readFileSync(goldenPath(...parts))
  const headerLength = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const tensors = new Map<string, GoldenTensor>()
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [from, to] = entry.data_offsets
    const bytes = Uint8Array.prototype.slice.call(file, 8 + headerLength + from, 8 + headerLength + to)
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, data: view(entry.dtype, bytes) })
  }
  return tensors
}

function view(dtype: string, bytes: Uint8Array): GoldenTensor['data'] {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer)
    case 'F64':
      return new Float64Array(bytes.buffer)
    case 'I64':
      return new BigInt64Array(bytes.buffer)
    case 'I32':
      return new Int32Array(bytes.buffer)
    default:
      return bytes
  }
}

/** The float32 data of a tensor that must be there. */
export function floats(tensors: Map<string, GoldenTensor>, name: string): Float32Array {
  const tensor = tensors.get(name)
  if (!(tensor?.data instanceof Float32Array)) throw new Error(`golden tensor ${name} is missing or not F32`)
  return tensor.data
}
