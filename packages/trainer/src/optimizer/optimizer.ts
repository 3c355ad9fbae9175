import { adamW, createGraph, type Device, type DeviceTensor, gradientFacts, type Program } from '@hass-engine/kernels'
import type { UpdateFacts } from '../head-trainer.js'
import { NonFiniteError } from '../non-finite-error.js'
import type { CompleteRecipe } from '../recipe.js'

/** A parameter and what belongs to it, all of one shape. */
export interface TrainedTensor {
  readonly shape: readonly number[]
  readonly parameter: DeviceTensor
  readonly gradient: DeviceTensor
  readonly firstMoment: DeviceTensor
  readonly secondMoment: DeviceTensor
}

/** AdamW over all parameters: one run looks at the gradients, a second one uses and forgets them. */
export class Optimizer {
  readonly #tensors: ReadonlyMap<string, TrainedTensor>
  readonly #recipe: CompleteRecipe
  readonly #inspect: Program
  readonly #apply: Program

  constructor(device: Device, tensors: ReadonlyMap<string, TrainedTensor>, recipe: CompleteRecipe) {
    this.#tensors = tensors
    this.#recipe = recipe
    this.#inspect = compileInspection(device, tensors, recipe)
    this.#apply = compileStep(device, tensors, recipe)
  }

  /**
   * Makes step number `step`, the first being 1.
   *
   * @throws NonFiniteError `HASS_ERR_NON_FINITE` if a gradient holds a NaN or an infinity; nothing is changed then
   */
  async update(step: number, learningRate: number): Promise<UpdateFacts> {
    const facts = await this.#look()
    const { betas, weightDecay } = this.#recipe
    const rates = Float32Array.of(
      1 - learningRate * weightDecay,
      learningRate / (1 - betas[0] ** step),
      1 / Math.sqrt(1 - betas[1] ** step),
    )
    await this.#apply.run({ inputs: { rates } })
    return facts
  }

  dispose(): void {
    this.#inspect.dispose()
    this.#apply.dispose()
  }

  async #look(): Promise<UpdateFacts> {
    const outputs = await this.#inspect.run({ inputs: {} })
    let [squares, clipped, elements] = [0, 0, 0]
    for (const [name, { shape }] of this.#tensors) {
      const facts = outputs[name]!.readAll()
      let nonFinite = 0
      for (let row = 0; row < facts.length; row += 3) {
        squares += facts[row]!
        clipped += facts[row + 1]!
        nonFinite += facts[row + 2]!
      }
      elements += shape.reduce((product, extent) => product * extent, 1)
      if (nonFinite > 0) {
        throw new NonFiniteError(
          `The gradient of "${name}" has ${nonFinite} elements that are NaN or infinite; the step was not made.`,
          { tensor: name, elements: nonFinite },
        )
      }
    }
    return { gradientNorm: Math.sqrt(squares), clippedShare: clipped / elements }
  }
}

/** A vector counts as one row. */
function matrixShape(shape: readonly number[]): readonly number[] {
  return shape.length === 1 ? [1, shape[0]!] : shape
}

function compileInspection(device: Device, tensors: ReadonlyMap<string, TrainedTensor>, { clip }: CompleteRecipe) {
  const graph = createGraph('gradient facts')
  const bindings: Record<string, DeviceTensor> = {}
  for (const [name, { shape, gradient }] of tensors) {
    const state = graph.state(`gradient of ${name}`, 'F32', matrixShape(shape))
    graph.output(name, graph.emit(gradientFacts, [state], { clip })[0]!)
    bindings[state.name] = gradient
  }
  return device.compile(graph, { bindings })
}

function compileStep(device: Device, tensors: ReadonlyMap<string, TrainedTensor>, recipe: CompleteRecipe) {
  const graph = createGraph('optimizer step')
  const rates = graph.input('rates', 'F32', [3])
  const bindings: Record<string, DeviceTensor> = {}
  const { betas, epsilon, clip } = recipe
  for (const [name, { shape, ...own }] of tensors) {
    const states = [own.parameter, own.gradient, own.firstMoment, own.secondMoment].map((tensor, i) => {
      const state = graph.state(`${name}#${i}`, 'F32', matrixShape(shape))
      bindings[state.name] = tensor
      return state
    })
    graph.emit(adamW, [...states, rates], { beta1: betas[0], beta2: betas[1], eps: epsilon, clip })
  }
  return device.compile(graph, { bindings })
}
