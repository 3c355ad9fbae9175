import type { Token } from '@hass-engine/core'
import { createGraph, type Device, type Program } from '@hass-engine/kernels'

export interface NoisyChoice {
  readonly temperature: number
  /** 64-bit key of the noise field. */
  readonly seed: bigint
  /** Absolute index of the token that is chosen. */
  readonly position: number
}

/** Chooses tokens by Gumbel noise on a device, with the token that the sampler would choose. */
export class NoiseChooser {
  readonly #program: Program
  #queue: Promise<unknown> = Promise.resolve()

  constructor(device: Device, vocabSize: number) {
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

  /** `argmax_v(logits_v / temperature + G(seed, position, v))` for `logits` `[vocabSize]`. */
  choose(logits: Float32Array, choice: NoisyChoice): Promise<Token> {
    // The output of one choice is gone when the next one is asked for.
    const chosen = this.#queue.then(() => this.#run(logits, choice))
    this.#queue = chosen.catch(() => undefined)
    return chosen
  }

  dispose(): void {
    this.#program.dispose()
  }

  async #run(logits: Float32Array, { temperature, seed, position }: NoisyChoice): Promise<Token> {
    const { token } = await this.#program.run({
      inputs: {
        logits,
        temperatures: new Uint32Array(Float64Array.of(temperature).buffer),
        positions: Uint32Array.of(position),
        seeds: Uint32Array.of(Number(seed & 0xffffffffn), Number(seed >> 32n)),
      },
    })
    return token!.readAll()[0]!
  }
}
