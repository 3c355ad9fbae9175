// Milliseconds of a draft head's passes, D(rows), for a random head of the embedded model: npm run bench:draft [-- --json]
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openDevice } from '../../kernels/dist/index.js'
import { modelPath } from '../../smollm2-135m-instruct/index.js'
import { openModel, writeSafetensors } from '../../weights/dist/index.js'
import { createDraftHead, createTargetModel } from '../dist/index.js'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
    vocabulary: { type: 'string', default: '8192' },
    rounds: { type: 'string', default: '40' },
  },
})
const threads = Number(values.threads)
const rounds = Number(values.rounds)
const draftVocabSize = Number(values.vocabulary)
const contextTokens = 192
const rowCounts = [1, 2, 4, 8, 16, 32]
/** Precisions of the head's own matrices, and of its lm_head: `target` is Q8 here. */
const precisions = [
  ['file', 'target'],
  ['Q8', 'target'],
  ['Q8', 'Q4'],
  ['Q4', 'Q4'],
]

const loadBefore = loadavg()[0]
const folder = await mkdtemp(join(tmpdir(), 'hass-draft-head-'))
const device = openDevice({ kind: 'cpu', threads })
const report = {}
try {
  const target = await createTargetModel({ device, model: await openModel(modelPath), cacheTokens: 1024 })
  await writeRandomHead(target.config)
  for (const [weightDtype, lmHead] of precisions) {
    const head = await createDraftHead({
      device,
      target,
      model: await openModel(folder),
      weightDtype,
      ...(lmHead !== 'target' && { lmHeadDtype: lmHead }),
    })
    report[`${weightDtype}, lm_head ${lmHead}`] = await measure(head, target)
    head.dispose()
  }
  target.dispose()
} finally {
  await device.dispose()
  await rm(folder, { recursive: true, force: true })
}
const environment = {
  cpu: cpus()[0]?.model,
  threads,
  node: process.version,
  draftVocabSize,
  contextTokens,
  rounds,
  loadAverage: [loadBefore, loadavg()[0]],
}
if (values.json) console.log(JSON.stringify({ ...report, environment }, null, 2))
else print()

/** Median milliseconds by rows: of each level alone, of a cycle of several, and the share that is not the device's. */
async function measure(head, target) {
  const features = {
    rows: contextTokens,
    hiddenSize: target.hiddenSize,
    read: () => Float32Array.from({ length: target.hiddenSize }, Math.random),
  }
  const sequence = head.createSequence()
  const tokens = (count) => Uint32Array.from({ length: count }, () => Math.floor(Math.random() * target.vocabSize))
  const begin = (count) =>
    head.begin([{ sequence, tokens: tokens(count), features, featureRows: [...Array(count).keys()], width: 4 }])
  await begin(contextTokens)
  const levels = {}
  const native = {}
  for (const rows of rowCounts) {
    const times = []
    const busy = []
    for (let round = 0; round < rounds; round++) {
      // A branch each time: drafted rows stay until a sequence begins again.
      const branch = sequence.fork({ length: contextTokens - 1 })
      await head.begin([{ sequence: branch, tokens: tokens(1), features, featureRows: [0], width: 4 }])
      const busyBefore = device.facts.busyMs
      const startedAt = performance.now()
      await head.extend([{ sequence: branch, frontier: { tokens: tokens(rows), parents: new Uint32Array(rows) } }])
      times.push(performance.now() - startedAt)
      busy.push(device.facts.busyMs - busyBefore)
      branch.dispose()
    }
    // The first half warms up.
    levels[rows] = median(times.slice(rounds >> 1))
    native[rows] = median(busy.slice(rounds >> 1))
  }
  sequence.dispose()
  return { levels, native }
}

/** As a trained head is published: float16, with a draft vocabulary of the target's first ids. */
async function writeRandomHead({ hiddenSize, heads, kvHeads, headSize, intermediateSize, vocabSize, normEpsilon }) {
  const layer = 'layers.0.'
  const shapes = {
    'fc.weight': [hiddenSize, 2 * hiddenSize],
    [`${layer}self_attn.q_proj.weight`]: [heads * headSize, hiddenSize],
    [`${layer}self_attn.k_proj.weight`]: [kvHeads * headSize, hiddenSize],
    [`${layer}self_attn.v_proj.weight`]: [kvHeads * headSize, hiddenSize],
    [`${layer}self_attn.o_proj.weight`]: [hiddenSize, heads * headSize],
    [`${layer}mlp.gate_proj.weight`]: [intermediateSize, hiddenSize],
    [`${layer}mlp.up_proj.weight`]: [intermediateSize, hiddenSize],
    [`${layer}mlp.down_proj.weight`]: [hiddenSize, intermediateSize],
    [`${layer}post_attention_layernorm.weight`]: [hiddenSize],
  }
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const count = shape.reduce((product, extent) => product * extent, 1)
    // Float16 numbers of either sign between 2^-6 and 2^-5.
    const words = Uint16Array.from(
      { length: count },
      () => 0x2400 | Math.floor(Math.random() * 0x400) | (Math.random() < 0.5 ? 0x8000 : 0),
    )
    return { name, dtype: 'F16', shape, data: new Uint8Array(words.buffer) }
  })
  const known = new Uint8Array(vocabSize).fill(1, 0, draftVocabSize)
  await writeSafetensors(join(folder, 'model.safetensors'), [
    ...tensors,
    { name: 'd2t', dtype: 'I64', shape: [draftVocabSize], data: new Uint8Array(8 * draftVocabSize) },
    { name: 't2d', dtype: 'BOOL', shape: [vocabSize], data: known },
  ])
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: hiddenSize,
    intermediate_size: intermediateSize,
    max_position_embeddings: 2048,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    num_hidden_layers: 1,
    rms_norm_eps: normEpsilon,
    rope_theta: 100000,
    tie_word_embeddings: false,
    vocab_size: vocabSize,
    draft_vocab_size: draftVocabSize,
    bias: false,
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
}

function print() {
  const number = (value) => value.toFixed(3).padStart(8)
  console.log(
    `${environment.cpu}, ${threads} threads, Node ${environment.node}, load average ${environment.loadAverage.map((load) => load.toFixed(2)).join(' to ')}`,
  )
  console.log(
    `one layer over a draft vocabulary of ${draftVocabSize}, ${contextTokens} tokens of context; median of ${rounds >> 1}, ms (of them on the device)`,
  )
  console.log(`${'rows'.padEnd(24)}${rowCounts.map((rows) => String(rows).padStart(20)).join('')}`)
  for (const [dtype, { levels, native }] of Object.entries(report)) {
    const cells = rowCounts.map((rows) => `${number(levels[rows])} (${number(native[rows])})`.padStart(20))
    console.log(`${dtype.padEnd(24)}${cells.join('')}`)
  }
}
