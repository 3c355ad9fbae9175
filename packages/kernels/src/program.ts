import { InvalidProgramError } from './errors.js'

/*
 * The program format: native/include/hass_program.h says what each word means. program.test.ts reads that header
 * and compares every name and number.
 */

export const programMagic = 0x53534148
export const programVersion = 1
/** An optional operand that is absent. */
export const none = -1

/** What a tensor of a program is; `HASS_<name>` in the header. */
export const TensorKind = { ACTIVATION: 0, WEIGHT: 1, STATE: 2, INPUT: 3, OUTPUT: 4 } as const
export type TensorKindCode = (typeof TensorKind)[keyof typeof TensorKind]

/** Element types and packed layouts of program tensors; `HASS_<name>` in the header. */
export const DTypeCode = { F32: 0, F16: 1, BF16: 2, I32: 3, U32: 4, Q4: 16, Q8: 17, Q4K: 18, F8: 19 } as const

/**
 * Element type of a tensor on a device. Packed ones are for weights of two dimensions only, in blocks along a row: `Q4`
 * is 4-bit affine and `Q8` 8-bit symmetric, in blocks of 32; `Q4K` is Q4 with scales and minima that are 6-bit multiples
 * of two numbers for each 256; `F8` is float8 e4m3 with a float32 scale for each 128.
 */
export type DeviceDType = keyof typeof DTypeCode

/** Columns of one block of each packed dtype: those of a weight are a multiple. */
export const packedColumns: Partial<Readonly<Record<DeviceDType, number>>> = { Q4: 32, Q8: 32, Q4K: 256, F8: 128 }

/** Operation codes; `HASS_OP_<name>` in the header. */
export const Opcode = {
  EMBEDDING: 1,
  RMS_NORM: 2,
  LINEAR: 3,
  SILU_MUL: 4,
  ROPE: 5,
  CACHE_WRITE: 6,
  TREE_ATTENTION: 7,
  GATHER_ROWS: 8,
  CONCAT_COLUMNS: 9,
  SLICE_COLUMNS: 10,
  ADD: 11,
  MUL: 12,
  ARG_MAX: 13,
  TOP_K: 14,
  LOG_SOFTMAX: 15,
  GUMBEL_ARG_MAX: 16,
  CACHE_COPY: 17,
  PLAIN_LINEAR: 32,
  MATMUL: 33,
  ADD_PRODUCT: 34,
  ADD_COLUMN_SUMS: 35,
  RMS_NORM_GRADIENT: 36,
  RMS_NORM_WEIGHT_GRADIENT: 37,
  SILU_MUL_GRADIENT: 38,
  ROPE_GRADIENT: 39,
  SCATTER_ADD_ROWS: 40,
  CONCAT_ROWS: 41,
  SLICE_ROWS: 42,
  PAD_COLUMNS: 43,
  ALIGNED_ATTENTION: 44,
  ALIGNED_ATTENTION_GRADIENT: 45,
  DISTILLATION: 46,
  GRADIENT_FACTS: 47,
  ADAM_W: 48,
  SOFTMAX: 49,
  ADD_RMS_NORM: 64,
  LINEAR_SILU_MUL: 65,
  QKV_ROPE_CACHE: 66,
} as const

export interface ProgramTensor {
  readonly kind: TensorKindCode
  readonly dtype: DeviceDType
  /** One to four extents; a negative one, -1 - i, stands for dimension i. */
  readonly shape: readonly number[]
}

export interface ProgramOperation {
  readonly opcode: number
  /** Tensor indices, outputs first; `none` where an optional operand is absent. */
  readonly operands: readonly number[]
  /** 32-bit words; floats by their bits. */
  readonly attributes: readonly number[]
}

/** A program before it is written as words. */
export interface ProgramDescription {
  /** Largest size of each dimension. */
  readonly dims: readonly number[]
  readonly tensors: readonly ProgramTensor[]
  readonly operations: readonly ProgramOperation[]
}

const maxRank = 4
const headerWords = 5
const tensorWords = 3 + maxRank
const dtypeNames = new Map<number, DeviceDType>(
  Object.entries(DTypeCode).map(([name, code]) => [code, name as DeviceDType]),
)

const scratch = new DataView(new ArrayBuffer(4))

/** The bits of a float32 as a signed word. */
export function floatToWord(value: number): number {
  scratch.setFloat32(0, value)
  return scratch.getInt32(0)
}

/** The float32 whose bits a word holds. */
export function wordToFloat(word: number): number {
  scratch.setInt32(0, word)
  return scratch.getFloat32(0)
}

/** Writes a program as the words that backends run. */
export function encodeProgram(program: ProgramDescription): Int32Array {
  const words = [
    programMagic,
    programVersion,
    program.dims.length,
    program.tensors.length,
    program.operations.length,
    ...program.dims,
  ]
  for (const { kind, dtype, shape } of program.tensors) {
    const padding = new Array<number>(maxRank - shape.length).fill(1)
    words.push(kind, DTypeCode[dtype], shape.length, ...shape, ...padding)
  }
  for (const { opcode, operands, attributes } of program.operations) {
    words.push(opcode, operands.length, ...operands, attributes.length, ...attributes)
  }
  return Int32Array.from(words)
}

/**
 * Reads the words of a program back. Structure only: whether operands fit their operations is the backend's check.
 *
 * @throws InvalidProgramError `HASS_ERR_INVALID_PROGRAM` if a count passes what is left, or a word is none of its kind
 */
export function decodeProgram(words: Int32Array): ProgramDescription {
  const reader = new WordReader(words)
  const header = reader.take(headerWords, 'the header')
  if (header[0] !== programMagic) throw malformed('does not start with the magic word', { found: header[0] })
  if (header[1] !== programVersion) {
    throw malformed(`has version ${header[1]}, expected ${programVersion}`, { found: header[1] })
  }
  const [, , numDims, numTensors, numOperations] = header as unknown as [number, number, number, number, number]
  const dims = Array.from(reader.take(numDims, 'the dimensions'))
  const badDim = dims.findIndex((size) => size < 0)
  if (badDim >= 0) throw malformed(`has the dimension ${badDim} of negative size`, { dimension: badDim })
  const tensorTable = reader.take(numTensors * tensorWords, 'the tensors')
  const tensors = Array.from({ length: numTensors }, (_, index) =>
    decodeTensor(tensorTable.subarray(index * tensorWords, (index + 1) * tensorWords), index, numDims),
  )
  // An operation takes three words at least: a larger count must not be believed.
  if (numOperations < 0 || numOperations > reader.left / 3) {
    throw malformed(`announces ${numOperations} operations in ${reader.left} words`, { numOperations })
  }
  const operations: ProgramOperation[] = []
  for (let index = 0; index < numOperations; index++) {
    const [opcode, numOperands] = reader.take(2, `operation ${index}`) as unknown as [number, number]
    const operands = Array.from(reader.take(numOperands, `the operands of operation ${index}`))
    const bad = operands.find((operand) => operand < none || operand >= numTensors)
    if (bad !== undefined) throw malformed(`operation ${index} names the tensor ${bad} of ${numTensors}`, { index })
    const [numAttributes] = reader.take(1, `operation ${index}`) as unknown as [number]
    operations.push({
      opcode,
      operands,
      attributes: Array.from(reader.take(numAttributes, `the attributes of operation ${index}`)),
    })
  }
  if (reader.left !== 0) throw malformed(`has ${reader.left} words behind its last operation`, { left: reader.left })
  return { dims, tensors, operations }
}

function decodeTensor(words: Int32Array, index: number, numDims: number): ProgramTensor {
  const [kind, code, rank] = words as unknown as [number, number, number]
  const dtype = dtypeNames.get(code)
  if (!dtype) throw malformed(`tensor ${index} has the dtype ${code}`, { tensor: index })
  if (kind < TensorKind.ACTIVATION || kind > TensorKind.OUTPUT) {
    throw malformed(`tensor ${index} has the kind ${kind}`, { tensor: index })
  }
  if (rank < 1 || rank > maxRank) throw malformed(`tensor ${index} has the rank ${rank}`, { tensor: index })
  const shape = Array.from(words.subarray(3, 3 + rank))
  if (shape.some((extent) => extent < -numDims)) {
    throw malformed(`tensor ${index} names a dimension beyond the ${numDims} there are`, { tensor: index })
  }
  return { kind: kind as TensorKindCode, dtype, shape }
}

class WordReader {
  #at = 0
  constructor(readonly words: Int32Array) {}

  get left(): number {
    return this.words.length - this.#at
  }

  take(count: number, what: string): Int32Array {
    if (count < 0 || count > this.left) {
      throw malformed(`ends in ${what}: ${count} words announced, ${this.left} left`, { count, left: this.left })
    }
    this.#at += count
    return this.words.subarray(this.#at - count, this.#at)
  }
}

function malformed(what: string, details: Readonly<Record<string, unknown>>): InvalidProgramError {
  return new InvalidProgramError(`A program ${what}.`, details)
}
