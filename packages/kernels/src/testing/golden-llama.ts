import { type GoldenTensor, readGoldenJson, readGoldenTensors } from '../../../../test/support/golden.js'
import type { Device } from '../device.js'
import type { DeviceTensor } from '../device-tensor.js'
import { createGraph } from '../graph/graph.js'
import type { WeightFormat } from '../packing/formats.js'
import type { WeightSource } from '../packing/prepare.js'
import { type RopeScaling, ropeTable } from '../rope-table.js'

/** The keys of a golden config.json that a decoder of the llama family needs. */
export interface GoldenConfig {
  readonly model_type: string
  readonly hidden_size: number
  readonly num_attention_heads: number
  readonly num_hidden_layers: number
  readonly num_key_value_heads: number
  readonly intermediate_size: number
  readonly rms_norm_eps: number
  readonly head_dim?: number
  readonly rope_theta?: number
  readonly rope_parameters?: { readonly rope_theta: number }
  readonly rope_scaling?: Readonly<Record<string, string | number>> | null
}

/** Rotary scaling in a config's own words. */
export function readScaling(scaling: GoldenConfig['rope_scaling']): RopeScaling | undefined {
  if (!scaling) return undefined
  const number = (key: string) => scaling[key] as number
  const factor = number('factor')
  const originalContext = number('original_max_position_embeddings')
  switch (scaling.rope_type ?? scaling.type) {
    case 'llama3':
      return {
        type: 'llama3',
        factor,
        originalContext,
        lowFrequencyFactor: number('low_freq_factor'),
        highFrequencyFactor: number('high_freq_factor'),
      }
    case 'yarn':
      return {
        type: 'yarn',
        factor,
        originalContext,
        betaFast: number('beta_fast'),
        betaSlow: number('beta_slow'),
        mscale: number('mscale'),
        mscaleAllDim: number('mscale_all_dim'),
      }
    default:
      return { type: 'linear', factor }
  }
}

/** A tensor of a golden file as a source for uploads. */
export function sourceOf(tensors: Map<string, GoldenTensor>, name: string): WeightSource {
  const tensor = tensors.get(name)
  if (!tensor) throw new Error(`golden tensor ${name} is missing`)
  return { name, format: tensor.dtype as WeightFormat, shape: tensor.shape, data: tensor.data }
}

/** Rows of one pass: a chain or a tree behind `committed` tokens. */
export interface GoldenStep {
  readonly tokens: readonly number[]
  /** Earlier rows; -1 for the last committed token. */
  readonly parents: readonly number[]
  readonly committed: number
}

/** A model of the llama family from golden weights, all float32; one sequence, slot = position of the pass. */
export async function loadGoldenModel(device: Device, name: string) {
  const config = readGoldenJson('models', name, 'config.json') as GoldenConfig
  const weights = readGoldenTensors('models', name, 'model.safetensors')
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads } = config
  const { intermediate_size: intermediate, rms_norm_eps: eps } = config
  const headSize = config.head_dim ?? hidden / heads
  const [maxRows, slots] = [256, 512]

  const g = createGraph(name)
  const rows = g.dimension('rows', maxRows)
  const bindings: Record<string, DeviceTensor> = {}
  const bind = async (key: string, tensor: DeviceTensor | Promise<DeviceTensor>) => {
    bindings[key] = await tensor
    return bindings[key]!
  }
  const weight = async (...names: string[]) => {
    const sources = names.map((each) => sourceOf(weights, each))
    // Weights of all golden files are computed in float32.
    const { dtype, shape } = await bind(names[0]!, device.upload(sources, { dtype: 'F32' }))
    return g.weight(names[0]!, dtype, shape)
  }
  const cache = async (key: string) => {
    const { dtype, shape } = await bind(key, device.allocate({ dtype: 'F32', shape: [slots, kvHeads * headSize] }))
    return g.state(key, dtype, shape)
  }
  const tokens = g.input('tokens', 'U32', [rows])
  const positions = g.input('positions', 'U32', [rows])
  const cacheSlots = g.input('slots', 'U32', [rows])
  const context = g.treeContext(rows, { maxSequences: 1, maxContext: slots })
  const scaling = readScaling(config.rope_scaling)
  const theta = config.rope_theta ?? config.rope_parameters!.rope_theta
  const data = ropeTable({ headSize, positions: slots, theta, ...(scaling && { scaling }) })
  await bind(
    'rope',
    device.upload({ name: 'rope', format: 'F32', shape: [slots, headSize], data }, { layout: 'plain' }),
  )
  const table = g.weight('rope', 'F32', [slots, headSize])

  const embedding = await weight('model.embed_tokens.weight')
  let x = g.embedding(tokens, embedding)
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const part = (key: string) => `model.layers.${layer}.${key}`
    const qkv = ['q', 'k', 'v'].map((letter) => part(`self_attn.${letter}_proj`))
    const hasBias = weights.has(`${qkv[0]}.bias`)
    const hasNorm = weights.has(part('self_attn.q_norm.weight'))
    const headNorm = async (heads: typeof x, letter: string) =>
      hasNorm ? g.rmsNorm(heads, await weight(part(`self_attn.${letter}_norm.weight`)), eps) : heads
    const [keys, values] = [await cache(`keys.${layer}`), await cache(`values.${layer}`)]

    const h = g.rmsNorm(x, await weight(part('input_layernorm.weight')), eps)
    const all = g.linear(h, await weight(...qkv.map((each) => `${each}.weight`)), {
      ...(hasBias && { bias: await weight(...qkv.map((each) => `${each}.bias`)) }),
    })
    const [q, k, v] = g.split(all, [heads * headSize, kvHeads * headSize, kvHeads * headSize])
    const queries = g.rope(await headNorm(q, 'q'), positions, table, { headSize })
    g.cacheWrite(keys, g.rope(await headNorm(k, 'k'), positions, table, { headSize }), cacheSlots)
    g.cacheWrite(values, v, cacheSlots)
    const attended = g.treeAttention(queries, keys, values, context, { heads, kvHeads })
    x = g.add(x, g.linear(attended, await weight(part('self_attn.o_proj.weight'))))

    const h2 = g.rmsNorm(x, await weight(part('post_attention_layernorm.weight')), eps)
    const gateUp = await weight(part('mlp.gate_proj.weight'), part('mlp.up_proj.weight'))
    const [gate, up] = g.split(g.linear(h2, gateUp), [intermediate, intermediate])
    x = g.add(x, g.linear(g.siluMul(gate, up), await weight(part('mlp.down_proj.weight'))))
  }
  const features = g.rmsNorm(x, await weight('model.norm.weight'), eps)
  g.output('features', features)
  g.output('logits', g.linear(features, weights.has('lm_head.weight') ? await weight('lm_head.weight') : embedding))
  const program = device.compile(g, { bindings })

  /** `[rows, hidden]` and `[rows, vocab]`; keys and values stay for later steps with more committed tokens. */
  async function step({ tokens: ids, parents, committed }: GoldenStep) {
    const paths = parents.map((_, row) => {
      const path = [row]
      while (parents[path[0]!]! >= 0) path.unshift(parents[path[0]!]!)
      return path
    })
    let end = 0
    const outputs = await program.run({
      inputs: {
        tokens: Uint32Array.from(ids),
        positions: Uint32Array.from(paths, (path) => committed + path.length - 1),
        slots: Uint32Array.from(ids, (_, row) => committed + row),
        'context.rowSequence': new Uint32Array(ids.length),
        'context.sequenceOffsets': Uint32Array.of(0, committed),
        'context.contextSlots': Uint32Array.from({ length: committed }, (_, i) => i),
        'context.ancestorOffsets': Uint32Array.of(0, ...paths.map((path) => (end += path.length))),
        'context.ancestorSlots': Uint32Array.from(paths.flat(), (row) => committed + row),
      },
    })
    return { features: outputs.features!.readAll(), logits: outputs.logits!.readAll() }
  }
  return { step, numOperations: program.numOperations }
}
