import { InvalidArgumentError } from '@hass-engine/core'
import { createGraph, type Device, type DeviceTensor, differentiate, type Program } from '@hass-engine/kernels'

/** Rows that a device sums up in float32 before the sums are added in float64. */
const rowsPerPass = 1024

/**
 * Least squares with a penalty on the weights, from rows that come piece by piece: the W of
 * `min Σ ‖W x − y‖² + λ ‖W‖²` by its normal equations, with λ relative to the mean square of x. Products are the
 * device's, sums over its passes and the solution are float64; nothing but sums over rows is kept.
 */
export class RidgeRegression {
  readonly #inputs: number
  readonly #outputs: number
  /** Σ (x, y) xᵀ, `[inputs + outputs, inputs]` */
  readonly #sums: Float64Array
  readonly #passSums: DeviceTensor
  readonly #program: Program
  readonly #own: readonly { dispose(): void }[]
  #rows = 0

  constructor(device: Device, inputs: number, outputs: number) {
    this.#inputs = inputs
    this.#outputs = outputs
    const shape = [inputs + outputs, inputs] as const
    this.#sums = new Float64Array(shape[0] * shape[1])
    // The sum over rows of (x, y) xᵀ is the gradient of a matrix W by W x where (x, y) arrives at its output.
    const graph = createGraph('ridge-sums')
    const rows = graph.dimension('rows', rowsPerPass)
    const x = graph.input('x', 'F32', [rows, inputs])
    const xy = graph.input('xy', 'F32', [rows, inputs + outputs])
    const matrix = graph.state('matrix', 'F32', shape)
    const sums = graph.state('sums', 'F32', shape)
    differentiate(graph, {
      seeds: new Map([[graph.linear(x, matrix), xy]]),
      accumulators: new Map([[matrix, sums]]),
    })
    const bound = device.allocate({ dtype: 'F32', shape })
    this.#passSums = device.allocate({ dtype: 'F32', shape })
    this.#program = device.compile(graph, { bindings: { matrix: bound, sums: this.#passSums } })
    this.#own = [this.#program, bound, this.#passSums]
  }

  get rows(): number {
    return this.#rows
  }

  /**
   * Adds rows.
   *
   * @param x `[rows, inputs]`
   * @param y `[rows, outputs]`
   */
  async add(x: Float32Array, y: Float32Array): Promise<void> {
    const [inputs, outputs] = [this.#inputs, this.#outputs]
    const rows = x.length / inputs
    if (!Number.isInteger(rows) || y.length !== rows * outputs) {
      throw new InvalidArgumentError(
        `${x.length} inputs and ${y.length} outputs are no rows of ${inputs} and ${outputs}.`,
        { inputs: x.length, outputs: y.length },
      )
    }
    const width = inputs + outputs
    for (let from = 0; from < rows; from += rowsPerPass) {
      const count = Math.min(rowsPerPass, rows - from)
      const xy = new Float32Array(count * width)
      for (let row = 0; row < count; row++) {
        xy.set(x.subarray((from + row) * inputs, (from + row + 1) * inputs), row * width)
        xy.set(y.subarray((from + row) * outputs, (from + row + 1) * outputs), row * width + inputs)
      }
      this.#passSums.write(new Float32Array(this.#sums.length))
      await this.#program.run({ inputs: { x: x.subarray(from * inputs, (from + count) * inputs), xy } })
      const sums = this.#passSums.read(new Float32Array(this.#sums.length))
      for (let i = 0; i < sums.length; i++) this.#sums[i]! += sums[i]!
    }
    this.#rows += rows
  }

  /**
   * The weights `[outputs, inputs] float32`, row-major.
   *
   * @param penalty λ above 0: what makes the solution exist where inputs depend on each other
   * @throws InvalidArgumentError if it does not exist all the same
   */
  solve(penalty: number): Float32Array {
    const n = this.#inputs
    const system = this.#sums.slice(0, n * n)
    let trace = 0
    for (let i = 0; i < n; i++) trace += system[i * n + i]!
    for (let i = 0; i < n; i++) system[i * n + i]! += (penalty * trace) / n
    factorize(system, n)
    const weights = new Float32Array(this.#outputs * n)
    for (let o = 0; o < this.#outputs; o++) {
      const from = (n + o) * n
      weights.set(substitute(system, n, this.#sums.slice(from, from + n)), o * n)
    }
    return weights
  }

  dispose(): void {
    for (const one of this.#own) one.dispose()
  }
}

/** Cholesky: the lower triangle L of A = L Lᵀ takes the place of A's. */
function factorize(a: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!
      if (i > j) {
        a[i * n + j] = sum / a[j * n + j]!
        continue
      }
      if (!(sum > 0)) {
        throw new InvalidArgumentError(
          `The normal equations are not positive definite at column ${i} (${sum}): give more rows, a larger penalty, or inputs without NaN.`,
          { column: i },
        )
      }
      a[i * n + i] = Math.sqrt(sum)
    }
  }
}

/** Solves L Lᵀ x = b; b becomes x. */
function substitute(l: Float64Array, n: number, b: Float64Array): Float64Array {
  for (let i = 0; i < n; i++) {
    let sum = b[i]!
    for (let k = 0; k < i; k++) sum -= l[i * n + k]! * b[k]!
    b[i] = sum / l[i * n + i]!
  }
  // By columns of L, so that memory is read in order.
  for (let i = n - 1; i >= 0; i--) {
    const value = b[i]! / l[i * n + i]!
    b[i] = value
    for (let k = 0; k < i; k++) b[k]! -= l[i * n + k]! * value
  }
  return b
}
