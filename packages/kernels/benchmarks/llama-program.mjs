import { createGraph, ropeTable } from '../dist/index.js'

/** The shapes of SmolLM2-135M and of LLaMA-3-8B, and one small enough for the reference device. */
export const shapes = {
  smollm2: { layers: 30, hidden: 576, heads: 9, kvHeads: 3, headSize: 64, intermediate: 1536, vocab: 49152 },
  llama3: { layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headSize: 128, intermediate: 14336, vocab: 128256 },
  small: { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headSize: 16, intermediate: 96, vocab: 128 },
}

/** float16 bits of a power of two. */
const powerOfTwo = (exponent) => (exponent + 15) << 10

function createRandomWords(seed) {
  let state = seed
  return (bytes) => {
    const words = new Uint32Array(Math.ceil(bytes / 4))
    for (let i = 0; i < words.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      words[i] = state ^ (state >>> 15)
    }
    return new Uint8Array(words.buffer, 0, bytes)
  }
}

/** Blocks with random quants and scales near 1 / sqrt(columns): what trained weights look like to a kernel. */
function randomMatrix(name, format, [rows, columns], randomBytes) {
  const stride = format === 'Q4_1' ? 20 : 34
  const data = randomBytes((rows * columns * stride) / 32)
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const exponent = -Math.round(Math.log2(columns) / 2) - (format === 'Q4_1' ? 3 : 6)
  for (let at = 0; at < data.length; at += stride) {
    view.setUint16(at, powerOfTwo(exponent), true)
    // The minimum is -8 times the scale: quants 0 to 15 are then centred.
    if (format === 'Q4_1') view.setUint16(at + 2, 0x8000 | powerOfTwo(exponent + 3), true)
  }
  return { name, format, shape: [rows, columns], data }
}

/**
 * A llama-shaped program with random weights: Q4_1 layers, Q8_0 embedding and lm_head in one, float16 cache.
 * `inputs(committed, rows)` are those of a chain of rows behind so many committed tokens.
 */
export async function createLlamaProgram(device, shape, { context, maxRows, maxLogitRows = 16 }) {
  const { layers, hidden, heads, kvHeads, headSize, intermediate, vocab } = shape
  const randomBytes = createRandomWords(12345)
  const slots = context + maxRows
  const g = createGraph('llama-shaped')
  const rows = g.dimension('rows', maxRows)
  const logitRows = g.dimension('logitRows', Math.min(maxRows, maxLogitRows))
  const bindings = {}
  let weightBytes = 0
  const upload = async (source, options) => {
    const tensor = await device.upload(source, options)
    bindings[source.name] = tensor
    if (source.shape.length === 2 && options === undefined) weightBytes += source.data.byteLength
    return g.weight(source.name, tensor.dtype, tensor.shape)
  }
  const matrix = (name, out, columns) => upload(randomMatrix(name, 'Q4_1', [out, columns], randomBytes))
  const norm = (name) => upload({ name, format: 'F32', shape: [hidden], data: new Float32Array(hidden).fill(1) })
  const state = (name) => {
    const options = { dtype: 'F16', shape: [slots, kvHeads * headSize] }
    bindings[name] = device.allocate(options)
    return g.state(name, options.dtype, options.shape)
  }

  const tokens = g.input('tokens', 'U32', [rows])
  const positions = g.input('positions', 'U32', [rows])
  const cacheSlots = g.input('slots', 'U32', [rows])
  const wanted = g.input('wanted', 'U32', [logitRows])
  const tree = g.treeContext(rows, { maxSequences: 1, maxContext: slots })
  const table = {
    name: 'rope',
    format: 'F32',
    shape: [slots, headSize],
    data: ropeTable({ headSize, positions: slots }),
  }
  const angles = await upload(table, { layout: 'plain' })
  const embedding = await upload(randomMatrix('embedding', 'Q8_0', [vocab, hidden], randomBytes))

  let x = g.embedding(tokens, embedding)
  for (let layer = 0; layer < layers; layer++) {
    const [keys, values] = [state(`keys.${layer}`), state(`values.${layer}`)]
    const qkv = g.linear(
      g.rmsNorm(x, await norm(`inputNorm.${layer}`), 1e-5),
      await matrix(`qkv.${layer}`, (heads + 2 * kvHeads) * headSize, hidden),
    )
    const [q, k, v] = g.split(qkv, [heads * headSize, kvHeads * headSize, kvHeads * headSize])
    const rotated = g.rope(q, positions, angles, { headSize })
    g.cacheWrite(keys, g.rope(k, positions, angles, { headSize }), cacheSlots)
    g.cacheWrite(values, v, cacheSlots)
    const attended = g.treeAttention(rotated, keys, values, tree, { heads, kvHeads })
    x = g.linear(attended, await matrix(`o.${layer}`, hidden, heads * headSize), { residual: x })
    const gateUp = g.linear(
      g.rmsNorm(x, await norm(`mlpNorm.${layer}`), 1e-5),
      await matrix(`gateUp.${layer}`, 2 * intermediate, hidden),
    )
    const [gate, up] = g.split(gateUp, [intermediate, intermediate])
    x = g.linear(g.siluMul(gate, up), await matrix(`down.${layer}`, hidden, intermediate), { residual: x })
  }
  const features = g.rmsNorm(g.gatherRows(x, wanted), await norm('finalNorm'), 1e-5)
  const logits = g.linear(features, embedding)
  g.output('logits', logits)
  g.output('token', g.argMax(logits))
  const program = device.compile(g, { bindings })
  return {
    program,
    weightBytes,
    /** Bytes of keys and values that one row reads behind so many committed tokens. */
    cacheBytes: (committed) => layers * 2 * kvHeads * headSize * 2 * (committed + 1),
    inputs(committed, count, wantedRows = count) {
      const chain = Array.from({ length: count }, (_, row) => Array.from({ length: row + 1 }, (_, i) => committed + i))
      return {
        tokens: Uint32Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocab),
        positions: Uint32Array.from({ length: count }, (_, i) => committed + i),
        slots: Uint32Array.from({ length: count }, (_, i) => committed + i),
        wanted: Uint32Array.from({ length: wantedRows }, (_, i) => count - wantedRows + i),
        'context.rowSequence': new Uint32Array(count),
        'context.sequenceOffsets': Uint32Array.of(0, committed),
        'context.contextSlots': Uint32Array.from({ length: committed }, (_, i) => i),
        'context.ancestorOffsets': Uint32Array.from({ length: count + 1 }, (_, i) => (i * (i + 1)) / 2),
        'context.ancestorSlots': Uint32Array.from(chain.flat()),
      }
    },
  }
}

/** A program of the same linear so often in a row, for the rate of its kernel. */
export async function createLinearProgram(device, { dtype, out, columns, repeats }) {
  const formats = { Q4: 'Q4_1', Q8: 'Q8_0' }
  const g = createGraph('linear')
  const rows = g.dimension('rows', 16)
  const source = formats[dtype]
    ? randomMatrix('weight', formats[dtype], [out, columns], createRandomWords(7))
    : { name: 'weight', format: 'F32', shape: [out, columns], data: new Float32Array(out * columns).fill(0.01) }
  const weight = await device.upload(source)
  const x = g.input('x', 'F32', [rows, columns])
  const w = g.weight('weight', weight.dtype, weight.shape)
  let y
  for (let i = 0; i < repeats; i++) y = g.linear(x, w)
  g.output('y', y)
  return device.compile(g, { bindings: { weight } })
}
