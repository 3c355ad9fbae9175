import { createGraph, type Device, type DeviceTensor, type GraphTensor, type Program } from '@hass-engine/kernels'
import { uploadRopeTable } from '@hass-engine/models'
import type { ModelConfig } from '@hass-engine/weights'
import { type BatchLimits, bindSteps, declareContext, declareStep } from '../alignment/step-inputs.js'
import { trainingRows } from '../alignment/training-rows.js'
import type { HeadParameters } from '../export/head-parameters.js'
import type { TrainingBatch } from '../head-trainer.js'
import { pickRows } from '../pick-rows.js'
import { headShapes, TrainingHead } from '../training-head.js'

export interface LayerActivationsOptions {
  readonly device: Device
  /** The head's. */
  readonly config: ModelConfig
  readonly parameters: HeadParameters
  /** `[vocab, E]`, the target's, row-major. */
  readonly embeddings: Float32Array
  readonly limits: BatchLimits
}

/** Of the rows of a batch that count. */
export interface Activations {
  /** What `o_proj` reads, `[rows, heads · headSize]`. */
  readonly attended: Float32Array
  /** What the MLP's output is added to, `[rows, E]`: what the head predicts while `down_proj` is zero. */
  readonly residual: Float32Array
  /** What `down_proj` reads, `[rows, intermediate]`. */
  readonly gated: Float32Array
}

/** A head that shows what its output projections read, on the target's features: the first alignment step. */
export class LayerActivations implements Disposable {
  readonly #config: ModelConfig
  readonly #parameters: ReadonlyMap<string, DeviceTensor>
  readonly #program: Program
  readonly #own: readonly { dispose(): void }[]

  private constructor(parts: {
    config: ModelConfig
    parameters: ReadonlyMap<string, DeviceTensor>
    program: Program
    own: readonly { dispose(): void }[]
  }) {
    this.#config = parts.config
    this.#parameters = parts.parameters
    this.#program = parts.program
    this.#own = parts.own
  }

  static async create(options: LayerActivationsOptions): Promise<LayerActivations> {
    const { device, config, embeddings, limits } = options
    const own: { dispose(): void }[] = []
    const keep = <T extends { dispose(): void }>(one: T) => {
      own.push(one)
      return one
    }
    try {
      const size = config.hiddenSize
      const parameters = new Map<string, DeviceTensor>()
      for (const [name, shape] of headShapes(config, (one) => options.parameters.has(one))) {
        const tensor = keep(device.allocate({ dtype: 'F32', shape }))
        tensor.write(options.parameters.get(name)!)
        parameters.set(name, tensor)
      }
      const shape = [embeddings.length / size, size] as const
      const frozen = {
        embedTokens: keep(await device.upload({ name: 'embed_tokens', format: 'F32', shape, data: embeddings })),
        ropeTable: keep(await uploadRopeTable(device, { config, tensors: new Map() }, limits.positions)),
      }
      const program = keep(compileActivations(device, config, parameters, frozen, limits))
      return new LayerActivations({ config, parameters, program, own })
    } catch (error) {
      for (const one of own) one.dispose()
      throw error
    }
  }

  /** Replaces a parameter. */
  write(name: string, data: Float32Array): void {
    this.#parameters.get(name)!.write(data)
  }

  /** @param batch of the limits' sizes, with a row that counts */
  async run(batch: TrainingBatch): Promise<Activations> {
    const rows = trainingRows(batch, 1)
    const { inputs, dims } = bindSteps(rows)
    const outputs = await this.#program.run({
      inputs: {
        ...inputs,
        tokens: Uint32Array.from(rows.context, (row) => batch.tokens[row]!),
        positions: Uint32Array.from(rows.context, (row) => row % batch.positions),
        features: pickRows(batch.features, rows.context, 0, this.#config.hiddenSize),
      },
      dims,
    })
    const read = (name: keyof Activations) => outputs[name]!.readAll() as Float32Array
    return { attended: read('attended'), residual: read('residual'), gated: read('gated') }
  }

  [Symbol.dispose](): void {
    for (const one of this.#own) one.dispose()
  }
}

function compileActivations(
  device: Device,
  config: ModelConfig,
  parameters: ReadonlyMap<string, DeviceTensor>,
  frozen: Readonly<Record<'embedTokens' | 'ropeTable', DeviceTensor>>,
  limits: BatchLimits,
): Program {
  const graph = createGraph('layer activations')
  const bindings: Record<string, DeviceTensor> = {}
  const bind = (tensor: GraphTensor, bound: DeviceTensor) => {
    bindings[tensor.name] = bound
    return tensor
  }
  const weight = (name: keyof typeof frozen) =>
    bind(graph.weight(name, frozen[name].dtype, frozen[name].shape), frozen[name])
  const states = new Map<string, GraphTensor>()
  for (const [name, tensor] of parameters) states.set(name, bind(graph.state(name, 'F32', tensor.shape), tensor))
  const { tokens, positions, features, masked } = declareContext(graph, config.hiddenSize, limits)
  const head = new TrainingHead({ graph, config, parameters: states, ropeTable: weight('ropeTable') })
  const step = declareStep(graph, 1, masked, limits)
  const all = head.combine(graph.embedding(tokens, weight('embedTokens')), features)
  const h = graph.gatherRows(all, step.places)
  const attended = head.attend(h, step.positions, head.keysAndValues(all, positions), step.context)
  const residual = head.addAttention(h, attended)
  const outputs = { attended, residual, gated: head.gate(residual) }
  for (const [name, tensor] of Object.entries(outputs)) graph.output(name, graph.gatherRows(tensor, step.masked))
  return device.compile(graph, { bindings })
}
