import type { HeadTrainer, StepLosses, TrainerState, TrainingBatch } from '../head-trainer.js'

export interface FakeHeadTrainerOptions {
  readonly alignmentSteps: number
  /** E */
  readonly hiddenSize: number
  /** Milliseconds that a batch takes besides. Defaults to 0. */
  readonly delayMs?: number
}

const [firstDecay, secondDecay, epsilon, weightDecay] = [0.9, 0.95, 1e-8, 0.01]

/** A head of two tensors that learns features from features, element by element, with a true AdamW: fast and exact. */
export class FakeHeadTrainer implements HeadTrainer {
  readonly parameters: Map<string, Float32Array>
  isDisposed = false
  readonly #options: FakeHeadTrainerOptions
  readonly #gradients: Map<string, Float32Array>
  #first: Map<string, Float32Array>
  #second: Map<string, Float32Array>
  #step = 0

  constructor(options: FakeHeadTrainerOptions) {
    this.#options = options
    const make = (value: number) =>
      new Map(
        ['fc.weight', 'fc.bias'].map((name, index) => [
          name,
          new Float32Array(options.hiddenSize).fill(value * (1 - index)),
        ]),
      )
    this.parameters = make(0.5)
    this.#gradients = make(0)
    this.#first = make(0)
    this.#second = make(0)
  }

  async accumulate(batch: TrainingBatch): Promise<StepLosses[]> {
    if (this.#options.delayMs) await new Promise((resolve) => setTimeout(resolve, this.#options.delayMs))
    return Array.from({ length: this.#options.alignmentSteps }, (_, index) => this.#accumulateStep(batch, index + 1))
  }

  async update({ learningRate }: { readonly learningRate: number }) {
    this.#step += 1
    let squares = 0
    for (const [name, gradient] of this.#gradients) {
      const [values, first, second] = [this.parameters.get(name)!, this.#first.get(name)!, this.#second.get(name)!]
      for (const [i, g] of gradient.entries()) {
        squares += g * g
        first[i] = firstDecay * first[i]! + (1 - firstDecay) * g
        second[i] = secondDecay * second[i]! + (1 - secondDecay) * g * g
        const mean = first[i]! / (1 - firstDecay ** this.#step)
        const variance = second[i]! / (1 - secondDecay ** this.#step)
        values[i]! -= learningRate * (mean / (Math.sqrt(variance) + epsilon) + weightDecay * values[i]!)
      }
      gradient.fill(0)
    }
    return { gradientNorm: Math.sqrt(squares), clippedShare: 0 }
  }

  async readState(): Promise<TrainerState> {
    return {
      step: this.#step,
      parameters: copy(this.parameters),
      firstMoments: copy(this.#first),
      secondMoments: copy(this.#second),
    }
  }

  async readGradients(): Promise<ReadonlyMap<string, Float32Array>> {
    return copy(this.#gradients)
  }

  async writeState({ step, parameters, firstMoments, secondMoments }: TrainerState): Promise<void> {
    this.#step = step
    for (const [name, values] of parameters) this.parameters.get(name)!.set(values)
    this.#first = copy(firstMoments)
    this.#second = copy(secondMoments)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true
  }

  #accumulateStep({ features, inputFeatures = features, lossMask, tokens }: TrainingBatch, step: number): StepLosses {
    const size = this.#options.hiddenSize
    const [weight, bias] = [this.parameters.get('fc.weight')!, this.parameters.get('fc.bias')!]
    const [weightGradient, biasGradient] = [this.#gradients.get('fc.weight')!, this.#gradients.get('fc.bias')!]
    let [loss, rows] = [0, 0]
    for (const [row, counts] of lossMask.entries()) {
      if (counts === 0) continue
      rows += 1
      for (let i = 0; i < size; i++) {
        const input = inputFeatures[row * size + i]! + tokens[row]! / 1000
        const error = weight[i]! * input + bias[i]! - step * features[(row + 1) * size + i]!
        loss += (error * error) / size
        weightGradient[i]! += error * input
        biasGradient[i]! += error
      }
    }
    const feature = loss / rows
    return { feature, token: feature / 2, topK: feature / 4, total: feature * 1.75, accuracy: 1 / (1 + feature) }
  }
}

function copy(tensors: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
  return new Map(Array.from(tensors, ([name, values]) => [name, values.slice()]))
}
