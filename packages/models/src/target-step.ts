import type { LogitsRows, SequenceStep, TargetModel, TargetOutput, Token } from '@hass-engine/core'
import type { OutputHandle } from '@hass-engine/kernels'
import type { CachedRows } from './cache/cached-rows.js'
import type { NoiseChooser, NoisyChoice } from './passes/noise-chooser.js'
import { StepRows } from './passes/step-rows.js'
import type { DeviceSequence } from './target-sequence.js'

/** One step of a sequence, and what the device has computed of it. */
export class TargetStep implements TargetOutput {
  readonly sequence: DeviceSequence
  readonly tokens: Uint32Array
  readonly logits: DeviceLogits
  readonly features: DeviceFeatures
  readonly #asked: 'all' | 'last' | 'none'

  constructor(step: SequenceStep, sequence: DeviceSequence, model: TargetModel, chooser: NoiseChooser) {
    this.sequence = sequence
    this.tokens = Uint32Array.from(step.tokens)
    this.#asked = step.logits ?? 'all'
    this.logits = new DeviceLogits(this.rows, model.vocabSize, chooser, step.choice ?? argMaxChoice)
    this.features = new DeviceFeatures(this.rows, model)
  }

  get rows(): number {
    return this.tokens.length
  }

  asksFor(row: number): boolean {
    return this.#asked === 'all' || (this.#asked === 'last' && row === this.rows - 1)
  }

  /** The rows have been opened. */
  place(cached: CachedRows): void {
    this.features.place(cached.slots(this.rows))
    this.logits.place(Array.from({ length: this.rows }, (_, row) => cached.position(row)))
  }

  /** Only these rows have their slots still. */
  keep(rows: ArrayLike<number>): void {
    this.features.keep(rows)
  }

  /** The pass has failed: nothing of the step remains. */
  abandon(): void {
    this.expire()
    this.sequence.cached.close()
  }

  expire(): void {
    this.logits.values.expire()
    this.features.expire()
  }
}

/** Features of a step; those of rows that have their slots still lie beside them on the device, too. */
export class DeviceFeatures extends StepRows {
  readonly model: TargetModel
  #slots: readonly (number | undefined)[] = []

  constructor(rows: number, model: TargetModel) {
    super(rows, model.hiddenSize, 'features')
    this.model = model
  }

  get hiddenSize(): number {
    return this.columns
  }

  /** @param slots `[rows]`, what the pass writes */
  place(slots: readonly number[]): void {
    this.#slots = slots
  }

  keep(rows: ArrayLike<number>): void {
    const kept: number[] = []
    for (let i = 0; i < rows.length; i++) kept[rows[i]!] = this.#slots[rows[i]!]!
    this.#slots = kept
  }

  override expire(): void {
    super.expire()
    this.#slots = []
  }

  /** Where the device keeps these rows; undefined if there is one that it does not keep (any more). */
  slotsOf(rows: ArrayLike<number>): Uint32Array | undefined {
    const slots = new Uint32Array(rows.length)
    for (let i = 0; i < rows.length; i++) {
      const slot = this.#slots[rows[i]!]
      if (slot === undefined) return undefined
      slots[i] = slot
    }
    return slots
  }
}

const argMaxChoice = { temperature: 0, seed: 0n }

class DeviceLogits implements LogitsRows {
  readonly values: StepRows
  /** What the pass has chosen, by `#choice`. */
  readonly #choices: Uint32Array
  readonly #choice: Omit<NoisyChoice, 'position'>
  readonly #chooser: NoiseChooser
  #positions: readonly number[] = []

  constructor(rows: number, vocabSize: number, chooser: NoiseChooser, choice: Omit<NoisyChoice, 'position'>) {
    this.#chooser = chooser
    this.#choice = choice
    this.values = new StepRows(rows, vocabSize, 'logits')
    this.#choices = new Uint32Array(rows)
  }

  get rows(): number {
    return this.values.rows
  }

  get vocabSize(): number {
    return this.values.columns
  }

  attach(row: number, output: OutputHandle, at: number, choice: Token): void {
    this.values.attach(row, output, at)
    this.#choices[row] = choice
  }

  /** @param positions `[rows]`, where the rows' own tokens stand */
  place(positions: readonly number[]): void {
    this.#positions = positions
  }

  /** How the pass chooses the token after a row. */
  choiceOf(row: number): NoisyChoice {
    const { temperature, seed } = this.#choice
    return { temperature, seed, position: this.#positions[row]! + 1 }
  }

  argMax(row: number): Token | Promise<Token> {
    return this.gumbelArgMax(row, { ...argMaxChoice, position: 0 })
  }

  gumbelArgMax(row: number, choice: NoisyChoice): Token | Promise<Token> {
    this.values.check(row)
    const known = this.choiceOf(row)
    const isNoisy = choice.temperature > 0
    const isKnown =
      known.temperature === choice.temperature &&
      (!isNoisy || (known.seed === choice.seed && known.position === choice.position))
    if (isKnown) return this.#choices[row]!
    return this.#chooser.choose((target) => this.values.read(row, target), choice)
  }

  read(row: number): Float32Array {
    return this.values.read(row)
  }
}
