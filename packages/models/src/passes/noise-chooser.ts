import type { Token } from '@hass-engine/core'
import { createGraph, type Device, type Program } from '@hass-engine/kernels'
import { createLogitsRows } from '@hass-engine/sampler'

export interface NoisyChoice {
  readonly temperature: number
  /** 64-bit key of the noise field. */
  readonly seed: bigint
  /** Absolute index of the token that is chosen. */
  readonly position: number
}

/** Chooses tokens by Gumbel noise on a device, with the token that the sampler would choose. */
export class NoiseChooser {
  readonly #vocabSize: number
  readonly #program: Program
  #queue: Promise<unknown> = Promise.resolve()

  constructor(device: Device, vocabSize: number) {
    const graph = createGraph('gumbel-choice')
    const token = graph.gumbelArgMax(
      graph.input('logits', 'F32', [1, vocabSize]),
      graph.input('inverseTemperature', 'F32', [1]),
      graph.input('positions', 'U32', [1]),
      graph.input('seeds', 'U32', [1, 2]),
    )
    graph.output('token', token)
    this.#vocabSize = vocabSize
    this.#program = device.compile(graph)
  }

  /** `argmax_v(logits_v / temperature + G(seed, position, v))` for `logits` `[vocabSize]`. */
  choose(logits: Float32Array, choice: NoisyChoice): Token | Promise<Token> {
    if (!isPowerOfTwo(choice.temperature)) {
      return createLogitsRows(logits, this.#vocabSize).gumbelArgMax(0, choice)
    }
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
        inverseTemperature: Float32Array.of(1 / temperature),
        positions: Uint32Array.of(position),
        seeds: Uint32Array.of(Number(seed & 0xffffffffn), Number(seed >> 32n)),
      },
    })
    return token!.readAll()[0]!
  }
}

/** Devices multiply by a float32 inverse: the same bits as a division by these temperatures, and by no others. */
function isPowerOfTwo(temperature: number): boolean {
  return Number.isInteger(Math.log2(temperature)) && Math.abs(Math.log2(temperature)) < 64
}
