import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Addon } from '../../packages/kernels/src/addon/addon.js'
import {
  type DeviceDType,
  encodeProgram,
  Opcode,
  type ProgramOperation,
  type ProgramTensor,
  TensorKind,
} from '../../packages/kernels/src/program.js'

// biome-ignore lint/suspicious/noUndeclaredEnvVars: tests are no task of turbo's
const override = process.env.HASS_NATIVE_PATH
export const addonPath = override ?? fileURLToPath(new URL('../../native/build/Release/hass.node', import.meta.url))

export const addon = createRequire(import.meta.url)(addonPath) as Addon

/** A tensor of a program under test; `handle` binds weights and state. */
export interface TestTensor extends ProgramTensor {
  readonly handle?: number
}

export const input = (shape: number[], dtype: DeviceDType = 'F32'): TestTensor => ({
  kind: TensorKind.INPUT,
  dtype,
  shape,
})
export const output = (shape: number[], dtype: DeviceDType = 'F32'): TestTensor => ({
  kind: TensorKind.OUTPUT,
  dtype,
  shape,
})
export const activation = (shape: number[]): TestTensor => ({ kind: TensorKind.ACTIVATION, dtype: 'F32', shape })
export const weight = (shape: number[], dtype: DeviceDType, handle: number): TestTensor => ({
  kind: TensorKind.WEIGHT,
  dtype,
  shape,
  handle,
})

export function words(dims: number[], tensors: TestTensor[], operations: ProgramOperation[]) {
  return {
    words: encodeProgram({ dims, tensors, operations }),
    bindings: Float64Array.from(tensors, ({ handle }) => handle ?? 0),
  }
}

/** `y = x + x`, `[rows, columns]`, rows being dimension 0. */
export function doubling(maxRows: number, columns: number) {
  const operation = { opcode: Opcode.ADD, operands: [1, 0, 0], attributes: [] }
  return words([maxRows], [input([-1, columns]), output([-1, columns])], [operation])
}

/** A chain of float linears of zeros that takes its time: about 17 million multiply-accumulates a row and link. */
export function slow(device: number, links: number, maxRows = 64) {
  const size = 4096
  const matrix = weight([size, size], 'F32', addon.createWeight(device, 0, size, size))
  const tensors = [matrix, input([-1, size])]
  const operations: ProgramOperation[] = []
  for (let link = 0; link < links; link++) {
    tensors.push(link === links - 1 ? output([-1, size]) : activation([-1, size]))
    const y = tensors.length - 1
    operations.push({ opcode: Opcode.LINEAR, operands: [y, y - 1, 0, -1, -1], attributes: [0] })
  }
  const { words: code, bindings } = words([maxRows], tensors, operations)
  const program = addon.createProgram(device, code, bindings)
  const { parameterBytes } = addon.programFacts(program)
  return { program, parameters: new Uint8Array(parameterBytes), matrix: matrix.handle!, output: tensors.length - 1 }
}

/** The code of what `body` throws, `'none'` if it throws nothing. */
export function codeOf(body: () => unknown): string {
  try {
    body()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${error}`
  }
}

export async function rejectionOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error) => error.code ?? `no code: ${error}`,
  )
}
