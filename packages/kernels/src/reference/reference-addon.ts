import { availableParallelism } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Addon, addonVersion, type DeviceRates } from '../addon/addon.js'
import { operationByOpcode } from '../operations/index.js'
import type { Operation } from '../operations/operation.js'
import { type DeviceDType, DTypeCode, packedColumns } from '../program.js'
import { float32, float64 } from './arithmetic.js'
import { ReferenceBuffer, ReferenceDevice, writeRows } from './objects.js'
import { ReferenceProgram } from './reference-program.js'
import { backendError, Registry } from './registry.js'

const dtypeNames = new Map<number, DeviceDType>(
  Object.entries(DTypeCode).map(([name, code]) => [code, name as DeviceDType]),
)

/** Milliseconds after which a run lets the event loop turn, between two operations. */
const turnMs = 2

function bytesOf(view: ArrayBufferView): Uint8Array {
  if (!ArrayBuffer.isView(view)) throw backendError('INVALID_ARGUMENT', 'expected a typed array')
  try {
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  } catch {
    throw backendError('INVALID_ARGUMENT', 'the ArrayBuffer is detached')
  }
}

export interface ReferenceOptions {
  readonly precision: 'float32' | 'float64'
  /** What opcodes stand for. Defaults to the package's operations; the suite's mutants are given here. */
  readonly operations?: ReadonlyMap<number, Operation>
}

/**
 * The functions of the native addon in TypeScript: every operation computed plainly, on the calling thread, with the
 * bits of native/NUMERICS.md. Between operations the event loop turns.
 */
export function createReferenceAddon(options: ReferenceOptions): Addon {
  const { operations = operationByOpcode } = options
  const registry = new Registry()

  const deviceOf = (handle: number) => registry.get(handle, ReferenceDevice)
  const requireIdle = (object: { numRuns: number }) => {
    if (object.numRuns > 0) {
      throw backendError('INVALID_ARGUMENT', 'a queued or running run uses it; await the run first', { busy: 1 })
    }
  }
  const slice = (handle: number, byteOffset: number, length: number) => {
    const buffer = registry.get(handle, ReferenceBuffer)
    if (buffer.dtype) throw backendError('INVALID_ARGUMENT', 'a weight is not readable or writable as bytes')
    const isInside = Number.isInteger(byteOffset) && byteOffset >= 0 && byteOffset + length <= buffer.bytes.length
    if (!isInside) {
      throw backendError(
        'INVALID_ARGUMENT',
        `bytes ${byteOffset} to ${byteOffset + length} of a buffer of ${buffer.bytes.length}`,
      )
    }
    requireIdle(buffer)
    return buffer.bytes.subarray(byteOffset, byteOffset + length)
  }

  /** Runs behind what the device has queued; the turn before the first operation keeps the call short. */
  async function run(program: ReferenceProgram, sizes: Int32Array, inputs: Uint8Array[], runId: number): Promise<void> {
    const { device } = program
    const startedAt = performance.now()
    let lastTurn = Number.NEGATIVE_INFINITY
    await program.run(sizes, inputs, async () => {
      if (performance.now() - lastTurn > turnMs) {
        await nextTurn()
        lastTurn = performance.now()
      }
      if (device.isDisposed) throw backendError('DISPOSED', 'the device is gone')
      if (device.runs.get(runId)?.isCancelled) throw backendError('CANCELLED', 'the run was cancelled')
    })
    device.busyMs += performance.now() - startedAt
  }

  return {
    version: addonVersion,
    isaNames: () => ['typescript'],
    processorFacts: () => ({ features: [], threads: availableParallelism() }),
    createDevice(isa) {
      if (isa !== 'auto' && isa !== 'typescript') {
        throw backendError('UNSUPPORTED', `the reference device has no instruction set ${isa}`)
      }
      return registry.add(new ReferenceDevice(options.precision === 'float64' ? float64 : float32))
    },
    deviceFacts(handle) {
      const { memoryBytes, busyMs } = deviceOf(handle)
      return { isa: 'typescript', threads: 1, memoryBytes, busyMs }
    },
    async measureDevice(handle): Promise<DeviceRates> {
      deviceOf(handle)
      throw backendError('UNSUPPORTED', 'the reference device measures nothing')
    },
    createBuffer: (device, bytes) => registry.add(new ReferenceBuffer(deviceOf(device), bytes)),
    createWeight(handle, code, rows, columns) {
      const device = deviceOf(handle)
      const dtype = dtypeNames.get(code)
      const block = dtype && packedColumns[dtype]
      if (!dtype || (block && columns % block !== 0)) {
        throw backendError('INVALID_ARGUMENT', `a weight [${rows}, ${columns}] cannot be of dtype ${code}`)
      }
      const elementBytes = block ? 1.25 : dtype === 'F32' ? device.floatBytes : 2
      return registry.add(new ReferenceBuffer(device, rows * columns * elementBytes, { dtype, rows, columns }))
    },
    bufferFacts(handle) {
      const { byteLength, dtype, rows, columns } = registry.get(handle, ReferenceBuffer)
      return { bytes: byteLength, dtype: dtype ? DTypeCode[dtype] : -1, rows, columns }
    },
    writeBuffer(handle, byteOffset, source) {
      const bytes = bytesOf(source)
      slice(handle, byteOffset, bytes.length).set(bytes)
    },
    readBuffer(handle, byteOffset, target) {
      const bytes = bytesOf(target)
      bytes.set(slice(handle, byteOffset, bytes.length))
    },
    async writeWeight(handle, format, firstRow, numRows, source) {
      const weight = registry.get(handle, ReferenceBuffer)
      requireIdle(weight)
      writeRows(weight, format, firstRow, numRows, bytesOf(source))
      return undefined
    },
    createProgram(handle, words, bindings) {
      const buffers = Array.from(bindings, (bound) => (bound === 0 ? undefined : registry.get(bound, ReferenceBuffer)))
      return registry.add(new ReferenceProgram(deviceOf(handle), words, buffers, operations))
    },
    programFacts(handle) {
      const { parameterBytes, arenaBytes, inputOffsets } = registry.get(handle, ReferenceProgram)
      return { parameterBytes, arenaBytes, inputOffsets }
    },
    runProgram(handle, dims, parameters, runId) {
      const program = registry.get(handle, ReferenceProgram)
      const { device } = program
      if (device.isDisposed) throw backendError('DISPOSED', 'the device is gone')
      const sizes = dims.slice()
      const inputs = program.copyInputs(sizes, parameters)
      const users = [program, ...program.buffers.filter((buffer) => buffer !== undefined)]
      device.runs.set(runId, { isCancelled: false })
      for (const user of users) user.numRuns++
      const promise = device.queue
        .then(() => run(program, sizes, inputs, runId))
        .finally(() => {
          device.runs.delete(runId)
          for (const user of users) user.numRuns--
        })
      device.queue = promise.catch(() => {})
      return promise as Promise<undefined>
    },
    cancelRun(handle, runId) {
      const run = deviceOf(handle).runs.get(runId)
      if (run) run.isCancelled = true
    },
    readOutput(handle, tensor, firstElement, target) {
      const program = registry.get(handle, ReferenceProgram)
      requireIdle(program)
      program.read(tensor, firstElement, bytesOf(target))
    },
    dispose(handle) {
      const object = registry.take(handle)
      if (object instanceof ReferenceDevice) object.isDisposed = true
      if (object instanceof ReferenceBuffer) object.device.memoryBytes -= object.byteLength
    },
    failAllocation() {
      throw backendError('UNSUPPORTED', 'the reference backend has no allocations of its own')
    },
  }
}
