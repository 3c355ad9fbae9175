import { stat } from 'node:fs/promises'
import { elementCount } from '@hass-engine/core'
import { type ModelConfig, openModel, openShards, openTensors, type TensorSource } from '@hass-engine/weights'
import { FileError } from '../errors.js'

/** Elements of one type, of all tensors together. */
export interface DTypeFacts {
  readonly dtype: string
  readonly tensors: number
  readonly elements: number
  /** With the scales of FP8 blocks. */
  readonly bytes: number
}

export interface TensorFacts {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly byteLength: number
  readonly file: string
}

export interface FileFacts {
  readonly path: string
  /** Absent for a file that holds tensors alone. */
  readonly config?: ModelConfig
  readonly tokenizer?: string
  /** Elements of all floating and quantized tensors; tied embeddings count once. */
  readonly parameters: number
  readonly dtypes: readonly DTypeFacts[]
  /** How elements are packed: `ggml`, `fp8-blocks`; none for plain numbers. */
  readonly quantization: readonly string[]
  readonly memory: {
    /** As stored; a device may hold some types wider. */
    readonly weightBytes: number
    readonly cache?: CacheFacts
  }
  readonly list: readonly TensorFacts[]
}

/** Keys and values of one token in all layers. */
export interface CacheFacts {
  readonly elementsPerToken: number
  readonly bytesPerToken: { readonly F16: number; readonly F32: number }
  /** The model's context. */
  readonly contextTokens: number
}

/** What the headers of a model, a draft head or a file of tensors say. */
export async function describeFiles(path: string): Promise<FileFacts> {
  const { config, tokenizer, tensors } = await open(path)
  const list = [...tensors.values()]
  const dtypes = sumByDType(list)
  const cache = config && cacheFacts(config)
  return {
    path,
    ...(config && { config }),
    ...(tokenizer && { tokenizer }),
    parameters: dtypes.filter(({ dtype }) => !isInteger(dtype)).reduce((sum, { elements }) => sum + elements, 0),
    dtypes,
    quantization: [...new Set(list.flatMap(({ quantization }) => (quantization ? [quantization.format] : [])))],
    memory: { weightBytes: dtypes.reduce((sum, { bytes }) => sum + bytes, 0), ...(cache && { cache }) },
    list: list.map(({ name, dtype, shape, byteLength, file }) => ({ name, dtype, shape, byteLength, file })),
  }
}

interface Opened {
  readonly config?: ModelConfig
  readonly tokenizer?: string
  readonly tensors: ReadonlyMap<string, TensorSource>
}

async function open(path: string): Promise<Opened> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new FileError('Opening', path, cause)
  })
  if (path.endsWith('.index.json')) return { tensors: await openShards(path) }
  if (stats.isFile() && !path.toLowerCase().endsWith('.gguf')) return openTensors(path)
  const { config, tensors, tokenizer } = await openModel(path)
  const described = tokenizer.kind === 'gguf' ? 'in the GGUF metadata' : [...tokenizer.files.keys()].join(', ')
  return { config, tensors, tokenizer: described || 'none' }
}

/** Largest first. */
export function sumByDType(tensors: readonly TensorSource[]): DTypeFacts[] {
  const sums = new Map<string, DTypeFacts>()
  for (const { dtype, shape, byteLength, quantization } of tensors) {
    const scaleBytes = quantization?.format === 'fp8-blocks' ? quantization.scales.byteLength : 0
    const sum = sums.get(dtype) ?? { dtype, tensors: 0, elements: 0, bytes: 0 }
    sums.set(dtype, {
      dtype,
      tensors: sum.tensors + 1,
      elements: sum.elements + elementCount(shape),
      bytes: sum.bytes + byteLength + scaleBytes,
    })
  }
  return [...sums.values()].sort((a, b) => b.bytes - a.bytes)
}

function isInteger(dtype: string): boolean {
  return /^([IU]\d+|BOOL)$/.test(dtype)
}

/** Latent attention caches the compressed vector and the rotated part of a key, one for all heads. */
function cacheFacts({ layers, kvHeads, headSize, latentAttention, maxContext }: ModelConfig): CacheFacts {
  const perLayer = latentAttention ? latentAttention.keyValueRank + latentAttention.ropeSize : 2 * kvHeads * headSize
  const elementsPerToken = layers * perLayer
  return {
    elementsPerToken,
    bytesPerToken: { F16: 2 * elementsPerToken, F32: 4 * elementsPerToken },
    contextTokens: maxContext,
  }
}
