import { readGoldenJson } from './golden.js'
import { type KvRow, linear, type TinyConfig, TinyLayer, type TinyTarget, TinyWeights } from './tiny-llama.js'

/**
 * The draft head of the golden data in plain TypeScript: `fc(concat(embed(token), feature))`, then one decoder layer
 * without input norm; logits by the target's `lm_head`.
 */
export class TinyHead {
  readonly target: TinyTarget
  readonly #embedding: Float32Array
  readonly #fc: Float32Array
  readonly #fcBias: Float32Array | undefined
  readonly #layer: TinyLayer
  readonly #hiddenSize: number
  readonly #context: KvRow[] = []
  #drafted: DraftedRow[] = []

  constructor(name: string, target: TinyTarget) {
    const config = readGoldenJson('heads', name, 'config.json') as TinyConfig
    const weights = new TinyWeights('heads', name)
    this.target = target
    this.#embedding = weights.find('embed_tokens.weight') ?? target.embedding
    this.#fc = weights.get('fc.weight')
    this.#fcBias = weights.find('fc.bias')
    this.#layer = new TinyLayer(config, weights, 'layers.0.')
    this.#hiddenSize = config.hidden_size
  }

  /** Rows in the context, all of them computed from the target's features. */
  get length(): number {
    return this.#context.length
  }

  /**
   * Forgets drafted rows and appends rows of the target's features for good: row t reads token t + 1 and feature t.
   *
   * @returns `[rows]` of the head's own features; the last one is row 0 of the cycle
   */
  begin(tokens: ArrayLike<number>, features: readonly Float32Array[]): Float32Array[] {
    const outputs = features.map((feature, i) => {
      const { output, kv } = this.#run(tokens[i]!, feature, this.#context.length, this.#context)
      this.#context.push(kv)
      return output
    })
    this.#drafted = [{ feature: outputs[outputs.length - 1]!, path: [] }]
    return outputs
  }

  /** Runs drafted rows, numbered on from the cycle's last; returns the feature of each. */
  extend(tokens: ArrayLike<number>, parents: ArrayLike<number>): Float32Array[] {
    const rows = Array.from(parents, (parentRow, i): DraftedRow => {
      const parent = this.#drafted[parentRow]!
      const context = [...this.#context, ...parent.path]
      const { output, kv } = this.#run(tokens[i]!, parent.feature, context.length, context)
      return { feature: output, path: [...parent.path, kv] }
    })
    this.#drafted.push(...rows)
    return rows.map((row) => row.feature)
  }

  /** `[rows, vocabSize] float32` */
  logits(features: readonly Float32Array[]): Float32Array {
    const rows = features.map((feature) => this.target.logits(feature))
    const all = new Float32Array(rows.length * this.target.config.vocab_size)
    for (const [i, row] of rows.entries()) all.set(row, i * row.length)
    return all
  }

  #run(token: number, feature: Float32Array, position: number, context: readonly KvRow[]) {
    const size = this.#hiddenSize
    const input = new Float32Array(2 * size)
    input.set(this.#embedding.subarray(token * size, (token + 1) * size))
    input.set(feature, size)
    return this.#layer.run(linear(this.#fc, input, this.#fcBias), position, context)
  }
}

interface DraftedRow {
  readonly feature: Float32Array
  /** Keys and values of the row's drafted ancestors and its own. */
  readonly path: readonly KvRow[]
}
