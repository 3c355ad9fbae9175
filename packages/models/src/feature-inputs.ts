/** Where the features of some rows are found; predicted ones and the target's by their slots on the device. */
export type FeatureSource =
  | { readonly kind: 'predicted' | 'target'; readonly slots: Uint32Array }
  | { readonly kind: 'given'; readonly values: Float32Array }

/**
 * What a head's pass is told of its rows' features. The head's feature rows hold what each cached row predicted, and
 * behind that what the rows of one pass read: it is copied there before it is read.
 */
export class FeatureInputs {
  readonly #firstPlace: number
  readonly #hiddenSize: number
  readonly #places: Uint32Array
  readonly #keptSlots: number[] = []
  readonly #keptPlaces: number[] = []
  readonly #given: Float32Array[] = []
  readonly #givenPlaces: number[] = []
  #rows = 0

  /** @param firstPlace feature rows that hold predictions; those of a pass lie behind them */
  constructor(rows: number, firstPlace: number, hiddenSize: number) {
    this.#firstPlace = firstPlace
    this.#hiddenSize = hiddenSize
    this.#places = new Uint32Array(rows)
  }

  /** Rows `from` to `to` of a source are the next ones of the pass. */
  add(source: FeatureSource, from: number, to: number): void {
    if (source.kind === 'given')
      this.#given.push(source.values.subarray(from * this.#hiddenSize, to * this.#hiddenSize))
    for (let row = from; row < to; row++) {
      const at = this.#rows++
      const place = this.#firstPlace + at
      this.#places[at] = source.kind === 'predicted' ? source.slots[row]! : place
      if (source.kind === 'given') this.#givenPlaces.push(place)
      if (source.kind !== 'target') continue
      this.#keptSlots.push(source.slots[row]!)
      this.#keptPlaces.push(place)
    }
  }

  /** By the names of the graph's inputs. */
  get inputs() {
    const given = new Float32Array(this.#givenPlaces.length * this.#hiddenSize)
    let at = 0
    for (const values of this.#given) {
      given.set(values, at)
      at += values.length
    }
    return {
      keptSlots: Uint32Array.from(this.#keptSlots),
      keptPlaces: Uint32Array.from(this.#keptPlaces),
      given,
      givenPlaces: Uint32Array.from(this.#givenPlaces),
      featurePlaces: this.#places,
    }
  }
}
