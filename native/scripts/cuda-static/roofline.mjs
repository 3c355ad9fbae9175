// What the kernels of a forward pass should take on GPUs that were not there. Nothing of it is measured.

/**
 * Of data sheets. `tensor`: 10^12 bfloat16 multiply-accumulates a second through mma (H100's wgmma would give more).
 * `code`: whose machine code it runs; `limits`: whose multiprocessor it has.
 */
export const gpus = {
  A100: { code: 80, limits: 80, gbs: 2039, multiprocessors: 108, ghz: 1.41, tensor: 156, gib: 80 },
  H100: { code: 90, limits: 90, gbs: 3350, multiprocessors: 132, ghz: 1.83, tensor: 310, gib: 80 },
  H200: { code: 90, limits: 90, gbs: 4800, multiprocessors: 132, ghz: 1.83, tensor: 310, gib: 141 },
  'RTX 4090': { code: 80, limits: 89, gbs: 1008, multiprocessors: 128, ghz: 2.52, tensor: 82, gib: 24 },
}

/** Of the models' config.json. */
export const models = {
  'SmolLM2-135M': { hidden: 576, layers: 30, heads: 9, kvHeads: 3, head: 64, inner: 1536, vocab: 49152 },
  'LLaMA-3-8B': { hidden: 4096, layers: 32, heads: 32, kvHeads: 8, head: 128, inner: 14336, vocab: 128256 },
  'R1-Distill-Qwen-32B': { hidden: 5120, layers: 64, heads: 40, kvHeads: 8, head: 128, inner: 27648, vocab: 152064 },
  'LLaMA-3-70B': { hidden: 8192, layers: 80, heads: 64, kvHeads: 8, head: 128, inner: 28672, vocab: 128256 },
}

/**
 * Of a warp's 16 outputs: bytes and instructions for 32 inputs, and instructions for each tile of 8 rows on top; counted
 * in cuda/linear_*.cu. `products`: bfloat16 multiply-accumulates for each of the linear's. `chunk`: inputs of a stage.
 */
export const weights = {
  Q4: { code: 16, block: 32, bytes: 320, perUnit: 16, perTile: 34, products: 0, chunk: 128, stages: [6, 4] },
  Q8: { code: 17, block: 32, bytes: 544, perUnit: 12, perTile: 24, products: 0, chunk: 128, stages: [6, 4] },
  BF16: { code: 2, block: 0, bytes: 1024, perUnit: 8, perTile: 66, products: 3, chunk: 64, stages: [4, 3] },
}

/** Assumptions: from one kernel of a graph to the next; one access to device memory, and to its cache. */
export const assumed = { launchUs: 1.3, memoryUs: 0.7, cacheUs: 0.3 }
/** Cycles of one dependent addition with its load from shared memory. */
const chainCycles = 8
const bfloat16Cache = 2

/**
 * The kernels of a forward pass over `rows` rows, each with what bounds it: bytes, a warp's instructions, tensor cores'
 * products, additions that wait for each other, and accesses that wait for each other (`rounds`).
 * `line` and `launch` tell the launch (launches.cc).
 */
export function passOf(model, dtype, rows, context) {
  const { hidden, layers, heads, kvHeads, head, inner, vocab } = model
  const { code, block, ...cost } = weights[dtype]
  const tiles = Math.ceil(rows / 8)
  const stages = cost.stages[tiles > 4 ? 1 : 0]
  const linear = (name, count, out, inputs, stage = 'linear') => {
    const units = Math.ceil(out / 16) * Math.ceil(inputs / 32)
    return {
      name,
      count,
      line: `${stage} ${code} ${block} ${rows} ${inputs} ${out}`,
      bytes: units * cost.bytes + rows * (inputs + out) * 4,
      instructions: units * (cost.perUnit + cost.perTile * tiles),
      products: cost.products * out * inputs * tiles * 8,
      rounds: Math.ceil(inputs / cost.chunk) / (stages - 1),
    }
  }
  const small = (name, count, line, bytes, more = {}) => ({
    name,
    count,
    line,
    bytes,
    rounds: 2,
    isCached: true,
    ...more,
  })
  const quantize = (count, inputs) =>
    block === 0 ? [] : [small('quantize', count, `quantize ${block} ${rows} ${inputs}`, rows * inputs * 5.5)]
  const attention = `attention ${bfloat16Cache} ${rows} ${heads} ${kvHeads} ${head} ${context}`
  const cacheBytes = context * kvHeads * head * 2
  const scoreBytes = rows * heads * context * 4
  const warpElements = (rows * heads * context * head) / 32
  const qkv = (heads + 2 * kvHeads) * head
  const choiceRounds = (2 * vocab) / 256 / 4
  return [
    small('embedding', 1, `embedding ${code} ${rows} ${hidden}`, rows * hidden * 5),
    small('norm', 2 * layers + 1, `rms-norm ${rows} 1 ${hidden}`, rows * hidden * 12, { chain: hidden / 8, rounds: 3 }),
    ...quantize(2 * layers + 1, hidden),
    linear('qkv', layers, qkv, hidden),
    small('rope and cache', layers, `qkv-finish ${rows} ${heads} ${kvHeads} ${head}`, rows * qkv * 8, { rounds: 3 }),
    {
      ...small('attention: scores', layers, attention, cacheBytes + scoreBytes, { isCached: false }),
      launch: 0,
      instructions: warpElements * 3.4,
      rounds: 1 + Math.min(rows, 8),
    },
    {
      ...small('attention: weights', layers, attention, 2 * scoreBytes, { chain: context / 8 }),
      launch: 1,
      rounds: 1 + context / 512,
    },
    {
      ...small('attention: values', layers, attention, cacheBytes + scoreBytes, { isCached: false }),
      launch: 2,
      instructions: warpElements * 5,
      chain: context * Math.min(rows, 4),
      rounds: Math.ceil(context / 128) * Math.min(rows, 4),
    },
    ...quantize(layers, heads * head),
    linear('o', layers, hidden, heads * head),
    { ...linear('gate and up', layers, 2 * inner, hidden, 'linear-silu-mul'), launch: 0 },
    {
      ...small('silu', layers, `linear-silu-mul ${code} ${block} ${rows} ${hidden} ${2 * inner}`, rows * inner * 12),
      launch: 1,
    },
    ...quantize(layers, inner),
    linear('down', layers, hidden, inner),
    linear('lm head', 1, vocab, hidden),
    small('choice', 1, `gumbel-arg-max ${rows} ${vocab}`, 2 * rows * vocab * 4, { rounds: choiceRounds }),
  ]
}

/** What bounds a kernel of a pass, in seconds without its launch; `resident`: blocks that a multiprocessor holds. */
export function secondsOf(part, gpu, { blocks, resident }) {
  const waves = Math.ceil(blocks / (gpu.multiprocessors * resident))
  const access = part.isCached ? assumed.cacheUs : assumed.memoryUs
  return {
    memory: part.bytes / (gpu.gbs * 1e9),
    instructions: (part.instructions ?? 0) / (gpu.multiprocessors * 4 * gpu.ghz * 1e9),
    'tensor cores': (part.products ?? 0) / (gpu.tensor * 1e12),
    additions: ((part.chain ?? 0) * chainCycles) / (gpu.ghz * 1e9),
    latency: waves * part.rounds * access * 1e-6,
  }
}

export function weightGib({ hidden, layers, heads, kvHeads, head, inner, vocab }, dtype) {
  const layer = (heads + 2 * kvHeads) * head * hidden + hidden * heads * head + 3 * inner * hidden
  return ((layers * layer + vocab * hidden) * weights[dtype].bytes) / 512 / 2 ** 30
}

/** Chances that the k-th candidate of a node is the target's choice: an assumption, not a measurement. */
export const assumedChances = [0.68, 0.12, 0.05, 0.03, 0.02]

/** Emitted tokens a cycle of the best tree of so many nodes, the root among them. */
export function expectedTokens(nodes) {
  const frontier = assumedChances.slice()
  let expected = 1
  for (let i = 1; i < nodes; i++) {
    frontier.sort((a, b) => b - a)
    const chance = frontier.shift()
    expected += chance
    frontier.push(...assumedChances.map((each) => each * chance))
  }
  return expected
}
