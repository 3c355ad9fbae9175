import { checkNumber, InvalidArgumentError } from '@hass-engine/core'
import type { OutputHandle } from '@hass-engine/kernels'

/**
 * Rows of one output of a step, wherever they are by now: on the device until another pass takes its place, in arrays
 * after that. Only what somebody may still ask for is ever copied.
 */
export class StepRows {
  readonly rows: number
  readonly columns: number
  readonly #what: string
  readonly #onDevice = new Map<number, { readonly output: OutputHandle; readonly at: number }>()
  readonly #copies = new Map<number, Float32Array>()
  #hasExpired = false

  /** @param what for messages, such as `logits` */
  constructor(rows: number, columns: number, what: string) {
    this.rows = rows
    this.columns = columns
    this.#what = what
  }

  /** Row `row` of the step is row `at` of a pass's output. */
  attach(row: number, output: OutputHandle, at: number): void {
    this.#onDevice.set(row, { output, at })
  }

  /** Copies what is on the device: the next pass will overwrite it. */
  detach(): void {
    for (const [row, { output, at }] of this.#onDevice) this.#copies.set(row, output.read(at) as Float32Array)
    this.#onDevice.clear()
  }

  /** Forgets everything: the sequence has gone on. */
  expire(): void {
    this.#hasExpired = true
    this.#onDevice.clear()
    this.#copies.clear()
  }

  /**
   * `[columns]`, a copy.
   *
   * @param target where to. Defaults to a new array
   */
  read(row: number, target?: Float32Array): Float32Array {
    this.check(row)
    const place = this.#onDevice.get(row)
    if (place) return place.output.read(place.at, target) as Float32Array
    const copy = this.#copies.get(row)!
    if (!target) return copy.slice()
    target.set(copy)
    return target
  }

  /** @throws InvalidArgumentError for a row that cannot be read (any more) */
  check(row: number): void {
    if (this.#hasExpired) {
      throw new InvalidArgumentError(
        `These ${this.#what} are of an earlier step of their sequence: read them before its next step.`,
      )
    }
    checkNumber(row, `row of ${this.#what}`, { min: 0, below: this.rows, isInteger: true })
    if (this.#onDevice.has(row) || this.#copies.has(row)) return
    throw new InvalidArgumentError(`The ${this.#what} of row ${row} were not asked for: see the step's "logits".`, {
      row,
    })
  }
}
