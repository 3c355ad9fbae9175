import { checkNumber, DisposedError, InvalidArgumentError } from '@hass-engine/core'
import type { Addon, Handle } from './addon/addon.js'
import { translateBackendError } from './errors.js'
import { type DeviceDType, DTypeCode } from './program.js'

/** `matrix`: kept as the kernels of linears and embeddings want it, not readable; `plain`: row-major. */
export type TensorLayout = 'matrix' | 'plain'

/** What became of weights that were converted to another format. */
export interface WeightConversion {
  /** Formats of the sources, in order. */
  readonly formats: readonly string[]
  /** True if every element has the value that its source format says. */
  readonly isExact: boolean
  /** Largest absolute difference of an element; 0 where exact. */
  readonly maxError: number
}

/** A device as its tensors and programs see it. */
export interface Backend {
  readonly addon: Addon
  readonly device: Handle
  /** 8 where F32 stands for float64: on a reference device of that precision. */
  readonly floatBytes: 4 | 8
}

const plainSizes: Partial<Record<DeviceDType, number>> = { F16: 2, BF16: 2, I32: 4, U32: 4 }

/** Bytes of one element of a dtype that is not packed; 0 for packed ones. */
export function elementSize(dtype: DeviceDType, { floatBytes }: Pick<Backend, 'floatBytes'>): number {
  return dtype === 'F32' ? floatBytes : (plainSizes[dtype] ?? 0)
}

/** Runs a backend's function, giving what it throws a type. */
export function attempt<Result>(what: string, run: () => Result): Result {
  try {
    return run()
  } catch (error) {
    throw translateBackendError(error, what)
  }
}

/** Elements on a device: a graph's weight or state. Programs that use it keep its memory alive beyond `dispose`. */
export class DeviceTensor implements AsyncDisposable {
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  readonly layout: TensorLayout
  readonly bytes: number
  /** What the upload lost; exact for tensors that were allocated. */
  conversion: WeightConversion = { formats: [], isExact: true, maxError: 0 }
  readonly #backend: Backend
  readonly #handle: Handle
  #isDisposed = false

  private constructor(backend: Backend, handle: Handle, facts: Pick<DeviceTensor, 'dtype' | 'shape' | 'layout'>) {
    this.dtype = facts.dtype
    this.shape = facts.shape
    this.layout = facts.layout
    this.#backend = backend
    this.#handle = handle
    this.bytes = backend.addon.bufferFacts(handle).bytes
  }

  /** @internal */
  static create(options: {
    backend: Backend
    what: string
    dtype: DeviceDType
    shape: readonly number[]
    layout: TensorLayout
  }): DeviceTensor {
    const { backend, what, dtype, shape, layout } = options
    const { addon, device } = backend
    const size = elementSize(dtype, backend)
    if (!(dtype in DTypeCode) || (size === 0 && layout === 'plain')) {
      throw new InvalidArgumentError(`${what}: a ${layout} tensor cannot be ${dtype}.`, { dtype, layout })
    }
    let elements = 1
    for (const extent of shape) {
      elements *= checkNumber(extent, `${what}: an extent`, { min: 0, max: 2 ** 31 - 1, isInteger: true })
    }
    if (layout === 'matrix' && shape.length !== 2) {
      throw new InvalidArgumentError(`${what}: a matrix of shape [${shape}], expected two extents.`, { shape })
    }
    const handle = attempt(what, () =>
      layout === 'matrix'
        ? addon.createWeight(device, DTypeCode[dtype], shape[0]!, shape[1]!)
        : addon.createBuffer(device, elements * size),
    )
    return new DeviceTensor(backend, handle, { dtype, shape: [...shape], layout })
  }

  /** @internal */
  get handle(): Handle {
    if (this.#isDisposed) throw new DisposedError('device tensor')
    return this.#handle
  }

  /** @internal */
  isOf(backend: Backend): boolean {
    return this.#backend === backend
  }

  /**
   * Copies elements of a plain tensor in, from element `first` on. No run that uses the tensor may be going on.
   *
   * @param elements of the tensor's element size
   */
  write(elements: ArrayBufferView, first = 0): void {
    attempt('write', () => this.#backend.addon.writeBuffer(this.handle, this.#offset(first), elements))
  }

  /** Copies elements of a plain tensor out into `target`, from element `first` on; returns `target`. */
  read<Target extends ArrayBufferView>(target: Target, first = 0): Target {
    attempt('read', () => this.#backend.addon.readBuffer(this.handle, this.#offset(first), target))
    return target
  }

  /** Gives the memory back once no program needs it. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#backend.addon.dispose(this.#handle)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  #offset(first: number): number {
    if (this.layout === 'matrix')
      throw new InvalidArgumentError('A matrix is kept as its kernels want it: upload it anew.')
    return checkNumber(first, 'first element', { min: 0, isInteger: true }) * elementSize(this.dtype, this.#backend)
  }
}
