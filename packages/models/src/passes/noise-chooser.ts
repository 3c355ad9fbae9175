import type { Token } from '@hass-engine/core'
import { createGraph, type Device, type Program } from '@hass-engine/kernels'

export interface NoisyChoice {
  readonly temperature: number
  /** 64-bit key of the noise field. */
  readonly seed: bigint
  /** Absolute index of the token that is chosen. */
  readonly position: number
}

/** Choices as the device's operation takes them, words of 64 bits low word first. */
export function choiceInputs(choices: readonly NoisyChoice[]) {
  const seeds = new Uint32Array(2 * choices.length)
  for (const [i, { seed }] of choices.entries()) {
    seeds[2 * i] = Number(seed & 0xffffffffn)
    seeds[2 * i + 1] = Number(seed >> 32n)
  }
  return {
    temperatures: new Uint32Array(Float64Array.from(choices, ({ temperature }) => temperature).buffer),
    positions: Uint32Array.from(choices, ({ position }) => position),
    seeds,
  }
}

/** Chooses tokens by Gumbel noise on a device, with the token that the sampler would choose. */
export class NoiseChooser {
  readonly #program: Program
  /** A row on its way, `[vocabSize]`: where one choice follows the other, none needs memory of its own. */
  readonly #row: Float32Array
  #queue: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(device: Device, vocabSize: number) {
    this.#row = new Float32Array(vocabSize)
    const graph = createGraph('gumbel-choice')
    const token = graph.gumbelArgMax(
      graph.input('logits', 'F32', [1, vocabSize]),
      graph.input('temperatures', 'U32', [1, 2]),
      graph.input('positions', 'U32', [1]),
      graph.input('seeds', 'U32', [1, 2]),
    )
    graph.output('token', token)
    this.#program = device.compile(graph)
  }

  /**
   * `argmax_v(logits_v / temperature + G(seed, position, v))`.
   *
   * @param read copies the logits `[vocabSize]`, to `target` if there is one; called at once
   */
  choose(read: (target?: Float32Array) => Float32Array, choice: NoisyChoice): Promise<Token> {
    const logits = this.#waiting === 0 ? read(this.#row) : read()
    this.#waiting += 1
    // The output of one choice is gone when the next one is asked for.
    const chosen = this.#queue.then(() => this.#run(logits, choice)).finally(() => (this.#waiting -= 1))
    this.#queue = chosen.catch(() => undefined)
    return chosen
  }

  dispose(): void {
    this.#program.dispose()
  }

  async #run(logits: Float32Array, choice: NoisyChoice): Promise<Token> {
    const { token } = await this.#program.run({ inputs: { logits, ...choiceInputs([choice]) } })
    return token!.readAll()[0]!
  }
}
