import { checkNumber, checkOptionKeys, DisposedError, InvalidArgumentError } from '@hass-engine/core'
import {
  createGraph,
  type Device,
  type DeviceTensor,
  differentiate,
  type GraphTensor,
  type Program,
  type WeightSource,
} from '@hass-engine/kernels'
import { uploadRopeTable } from '@hass-engine/models'
import type { ModelConfig } from '@hass-engine/weights'
import { align } from './alignment/align.js'
import { type BatchLimits, bindSteps, declareContext, declareStep } from './alignment/step-inputs.js'
import { trainingRows } from './alignment/training-rows.js'
import type { HeadTrainer, StepLosses, TrainerState, TrainingBatch, UpdateFacts } from './head-trainer.js'
import { NonFiniteError } from './non-finite-error.js'
import { harmonizedObjective, lossWeights, meanLosses, targetDistribution } from './objective/harmonized-objective.js'
import { Optimizer, type TrainedTensor } from './optimizer/optimizer.js'
import { pickRows } from './pick-rows.js'
import { type CompleteRecipe, completeRecipe, type HeadRecipe } from './recipe.js'
import { headShapes, TrainingHead } from './training-head.js'

export interface HeadTrainerOptions {
  readonly device: Device
  /** The head's: one layer. */
  readonly config: ModelConfig
  /** Where training starts, by published names: `fc.weight`, `layers.0.…`; biases are trained where they are given. */
  readonly parameters: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
  /** `[vocab, E]`, the target's embeddings in any format; frozen. */
  readonly embedTokens: WeightSource
  /** `[tokens, E]`, the rows of the target's `lm_head` for the draft vocabulary, row-major; frozen. */
  readonly lmHead: Float32Array
  /** Defaults to the paper's. */
  readonly recipe?: HeadRecipe
  /** Most sequences of one batch. */
  readonly maxSequences: number
  /** Longest sequence of a batch. */
  readonly maxPositions: number
}

const optionKeys = [
  'device',
  'config',
  'parameters',
  'embedTokens',
  'lmHead',
  'recipe',
  'maxSequences',
  'maxPositions',
] as const

/**
 * Puts a draft head in training on a device. Float32 throughout; the same calls give the same bits on the same
 * instruction set, whatever the number of threads.
 *
 * @throws InvalidArgumentError for parameters that are missing, unknown or not of the config's shapes
 */
export async function createHeadTrainer(options: HeadTrainerOptions): Promise<HeadTrainer> {
  checkOptionKeys(options, optionKeys, 'createHeadTrainer')
  const { device, config, parameters } = options
  const limits = {
    sequences: checkNumber(options.maxSequences, 'maxSequences', { min: 1, isInteger: true }),
    positions: checkNumber(options.maxPositions, 'maxPositions', { min: 2, isInteger: true }),
  }
  const recipe = completeRecipe(options.recipe ?? {})
  const shapes = checkParameters(config, parameters)
  const { hiddenSize } = config
  if (options.lmHead.length === 0 || options.lmHead.length % hiddenSize !== 0) {
    throw new InvalidArgumentError(`lmHead has ${options.lmHead.length} elements, expected rows of ${hiddenSize}.`, {
      found: options.lmHead.length,
      hiddenSize,
    })
  }
  const own: DeviceTensor[] = []
  const keep = (tensor: DeviceTensor) => {
    own.push(tensor)
    return tensor
  }
  try {
    const allocate = (shape: readonly number[]) => keep(device.allocate({ dtype: 'F32', shape }))
    const tensors = new Map<string, TrainedTensor>()
    for (const [name, shape] of shapes) {
      const tensor = {
        shape,
        parameter: allocate(shape),
        gradient: allocate(shape),
        firstMoment: allocate(shape),
        secondMoment: allocate(shape),
      }
      tensor.parameter.write(parameters.get(name)!.data)
      tensors.set(name, tensor)
    }
    const lmHead = {
      format: 'F32',
      shape: [options.lmHead.length / hiddenSize, hiddenSize],
      data: options.lmHead,
    } as const
    const frozen = {
      embedTokens: keep(await device.upload(options.embedTokens)),
      lmHead: keep(await device.upload({ name: 'lm_head', ...lmHead }, { layout: 'plain' })),
      ropeTable: keep(await uploadRopeTable(device, { config, tensors: new Map() }, limits.positions)),
    }
    return new DeviceHeadTrainer({ device, config, recipe, limits, tensors, frozen, own })
  } catch (error) {
    for (const tensor of own) tensor.dispose()
    throw error
  }
}

function checkParameters(config: ModelConfig, parameters: HeadTrainerOptions['parameters']) {
  if (config.layers !== 1) {
    throw new InvalidArgumentError(`The head has ${config.layers} layers, expected 1.`, { layers: config.layers })
  }
  const shapes = headShapes(config, (name) => parameters.has(name))
  for (const [name, shape] of shapes) {
    const found = parameters.get(name)
    const isRight =
      found && found.shape.length === shape.length && shape.every((extent, i) => found.shape[i] === extent)
    const elements = elementsOf(shape)
    if (isRight && found.data.length === elements) continue
    const what = found ? `is [${found.shape}] with ${found.data.length} elements` : 'is missing'
    throw new InvalidArgumentError(`Parameter "${name}" ${what}, expected [${shape}] float32.`, {
      name,
      expected: shape,
    })
  }
  const unknown = [...parameters.keys()].find((name) => !shapes.has(name))
  if (unknown) {
    throw new InvalidArgumentError(
      `"${unknown}" is no parameter of this head; it has ${[...shapes.keys()].join(', ')}.`,
      {
        name: unknown,
      },
    )
  }
  return shapes
}

interface TrainerParts {
  readonly device: Device
  readonly config: ModelConfig
  readonly recipe: CompleteRecipe
  readonly limits: BatchLimits
  readonly tensors: ReadonlyMap<string, TrainedTensor>
  readonly frozen: Readonly<Record<'embedTokens' | 'lmHead' | 'ropeTable', DeviceTensor>>
  readonly own: readonly DeviceTensor[]
}

class DeviceHeadTrainer implements HeadTrainer {
  readonly #parts: TrainerParts
  readonly #step: Program
  readonly #optimizer: Optimizer
  #updates = 0
  #isDisposed = false

  constructor(parts: TrainerParts) {
    this.#parts = parts
    this.#step = compileTrainingStep(parts)
    this.#optimizer = new Optimizer(parts.device, parts.tensors, parts.recipe)
  }

  async accumulate(batch: TrainingBatch): Promise<StepLosses[]> {
    this.#check()
    const { recipe, config } = this.#parts
    checkBatch(batch, this.#parts)
    const rows = trainingRows(batch, recipe.alignmentSteps)
    if (rows.masked.length === 0) {
      throw new InvalidArgumentError('The batch has no position at which losses count.', { sequences: batch.sequences })
    }
    const { features, inputFeatures = features, tokenLossMask = batch.lossMask } = batch
    const pick = (data: Float32Array, from: Uint32Array, shift = 0) => pickRows(data, from, shift, config.hiddenSize)
    const featureWeights = lossWeights(new Uint8Array(rows.masked.length).fill(1))
    const tokenWeights = lossWeights(Uint8Array.from(rows.masked, (row) => tokenLossMask[row]!))
    const { inputs, dims } = bindSteps(rows)
    const outputs = await this.#step.run({
      inputs: {
        ...inputs,
        tokens: Uint32Array.from(rows.context, (row) => batch.tokens[row]!),
        positions: Uint32Array.from(rows.context, (row) => row % batch.positions),
        features: pick(inputFeatures, rows.context),
        firstFeatures: pick(
          inputFeatures,
          Uint32Array.from(rows.firsts, (first) => rows.context[first]!),
        ),
        targets: pick(features, rows.masked, 1),
        featureWeights,
        tokenWeights,
      },
      dims: { ...dims, sequences: rows.firsts.length },
    })
    return rows.steps.map((_, i) => {
      const losses = meanLosses(
        outputs[`losses${i + 1}`]!.readAll() as Float32Array,
        featureWeights,
        tokenWeights,
        recipe,
      )
      const bad = Object.entries(losses).find(([, loss]) => !Number.isFinite(loss))
      if (bad) {
        throw new NonFiniteError(
          `The ${bad[0]} loss of alignment step ${i + 1} is ${bad[1]}: parameters or features hold NaN, infinities or values too large.`,
          { alignmentStep: i + 1, tensor: `losses.${bad[0]}`, value: bad[1] },
        )
      }
      return losses
    })
  }

  async update(options: { readonly learningRate: number }): Promise<UpdateFacts> {
    this.#check()
    checkOptionKeys(options, ['learningRate'], 'update')
    checkNumber(options.learningRate, 'learningRate', { min: 0 })
    const facts = await this.#optimizer.update(this.#updates + 1, options.learningRate)
    this.#updates++
    return facts
  }

  async readState(): Promise<TrainerState> {
    this.#check()
    return {
      step: this.#updates,
      parameters: this.#read('parameter'),
      firstMoments: this.#read('firstMoment'),
      secondMoments: this.#read('secondMoment'),
    }
  }

  async readGradients(): Promise<ReadonlyMap<string, Float32Array>> {
    this.#check()
    return this.#read('gradient')
  }

  async writeState(state: TrainerState): Promise<void> {
    this.#check()
    checkNumber(state.step, 'step', { min: 0, isInteger: true })
    const maps = { parameter: state.parameters, firstMoment: state.firstMoments, secondMoment: state.secondMoments }
    for (const [kind, map] of Object.entries(maps)) {
      for (const [name, { shape }] of this.#parts.tensors) {
        const elements = elementsOf(shape)
        if (map.get(name)?.length === elements) continue
        throw new InvalidArgumentError(
          `The ${kind} of "${name}" has ${map.get(name)?.length ?? 'no'} elements, expected ${elements}.`,
          { name, kind, expected: elements },
        )
      }
    }
    for (const [name, tensor] of this.#parts.tensors) {
      for (const [kind, map] of Object.entries(maps)) tensor[kind as keyof typeof maps].write(map.get(name)!)
      tensor.gradient.write(new Float32Array(elementsOf(tensor.shape)))
    }
    this.#updates = state.step
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#step.dispose()
    this.#optimizer.dispose()
    for (const tensor of this.#parts.own) tensor.dispose()
  }

  #read(kind: 'parameter' | 'gradient' | 'firstMoment' | 'secondMoment'): Map<string, Float32Array> {
    return new Map(
      [...this.#parts.tensors].map(([name, tensor]) => [
        name,
        tensor[kind].read(new Float32Array(elementsOf(tensor.shape))),
      ]),
    )
  }

  #check(): void {
    if (this.#isDisposed) throw new DisposedError('head trainer')
  }
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1)
}

/** One program: all alignment steps, their losses, and all gradients on top of those accumulated. */
function compileTrainingStep({ device, config, recipe, limits, tensors, frozen }: TrainerParts): Program {
  const graph = createGraph('training step')
  const bindings: Record<string, DeviceTensor> = {}
  const bind = (tensor: GraphTensor, bound: DeviceTensor) => {
    bindings[tensor.name] = bound
    return tensor
  }
  const parameters = new Map<string, GraphTensor>()
  const accumulators = new Map<GraphTensor, GraphTensor>()
  for (const [name, { shape, parameter, gradient }] of tensors) {
    const state = bind(graph.state(name, 'F32', shape), parameter)
    parameters.set(name, state)
    accumulators.set(state, bind(graph.state(`gradient of ${name}`, 'F32', shape), gradient))
  }
  const weight = (name: keyof typeof frozen) =>
    bind(graph.weight(name, frozen[name].dtype, frozen[name].shape), frozen[name])
  const { hiddenSize } = config
  const { tokens, positions, features, masked } = declareContext(graph, hiddenSize, limits)
  const head = new TrainingHead({ graph, config, parameters, ropeTable: weight('ropeTable') })
  const aligned = {
    embedded: graph.embedding(tokens, weight('embedTokens')),
    positions,
    features,
    firstFeatures: graph.input('firstFeatures', 'F32', [graph.dimension('sequences', limits.sequences), hiddenSize]),
    steps: Array.from({ length: recipe.alignmentSteps }, (_, i) => declareStep(graph, i + 1, masked, limits)),
  }
  const targets = graph.input('targets', 'F32', [masked, hiddenSize])
  const lmHead = weight('lmHead')
  const objective = {
    targets,
    targetProbs: targetDistribution(graph, targets, lmHead),
    lmHead,
    featureWeights: graph.input('featureWeights', 'F32', [masked]),
    tokenWeights: graph.input('tokenWeights', 'F32', [masked]),
  }
  const steps = align(graph, head, aligned)
  const seeds = new Map<GraphTensor, GraphTensor>()
  for (const [i, { prediction }] of steps.entries()) {
    const masks = graph.gatherRows(prediction, aligned.steps[i]!.masked)
    const { losses, gradient } = harmonizedObjective(graph, masks, objective, recipe)
    graph.output(`losses${i + 1}`, losses)
    seeds.set(masks, gradient)
  }
  const constants = steps.flatMap(({ source }) => (source ? [source] : []))
  differentiate(graph, { seeds, accumulators, constants })
  return device.compile(graph, { bindings })
}

/** @throws InvalidArgumentError for sizes beyond the trainer's, and arrays that are not of them */
function checkBatch(batch: TrainingBatch, { config, limits }: TrainerParts): void {
  checkNumber(batch.sequences, 'sequences of a batch', { min: 1, max: limits.sequences, isInteger: true })
  checkNumber(batch.positions, 'positions of a batch', { min: 2, max: limits.positions, isInteger: true })
  const rows = batch.sequences * batch.positions
  const expected = {
    tokens: rows,
    lossMask: rows,
    tokenLossMask: rows,
    features: rows * config.hiddenSize,
    inputFeatures: rows * config.hiddenSize,
  }
  for (const [name, length] of Object.entries(expected)) {
    const data = batch[name as keyof typeof expected]
    const isOptional = name === 'inputFeatures' || name === 'tokenLossMask'
    if (data ? data.length === length : isOptional) continue
    throw new InvalidArgumentError(`${name} of the batch has ${data?.length ?? 'no'} elements, expected ${length}.`, {
      name,
      expected: length,
    })
  }
  for (let row = batch.positions - 1; row < rows; row += batch.positions) {
    if (batch.lossMask[row] === 0) continue
    throw new InvalidArgumentError(
      `lossMask is ${batch.lossMask[row]} at the last position of sequence ${Math.floor(row / batch.positions)}, which has no next feature; expected 0.`,
      { row },
    )
  }
  const odd = batch.lossMask.findIndex((value) => value > 1)
  if (odd >= 0)
    throw new InvalidArgumentError(`lossMask ${odd} is ${batch.lossMask[odd]}, expected 0 or 1.`, { row: odd })
}
