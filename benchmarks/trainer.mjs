// A training step beside the same step in PyTorch: same numbers, threads and rounds, in turns.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openDevice, ropeTable } from '../packages/kernels/dist/index.js'
import { createHeadTrainer } from '../packages/trainer/dist/index.js'

/** The head of SmolLM2-135M with a draft vocabulary. */
const sizes = { hiddenSize: 576, intermediateSize: 1536, heads: 9, kvHeads: 3, headSize: 64 }
const draftVocabulary = 8192
const [sequences, positions] = [2, 512]
const [alignmentSteps, topK, learningRate] = [3, 10, 1e-4]

/** Shares of a sequence that are prompt, where losses do not count. */
const promptShares = [0, 0.5]

function createRandom(seed) {
  let state = seed
  return (count, scale) =>
    Float32Array.from({ length: count }, () => {
      state = (state * 48271) % 2147483647
      return scale * ((2 * state) / 2147483647 - 1)
    })
}

function createTask(promptShare) {
  const { hiddenSize, intermediateSize, heads, kvHeads, headSize } = sizes
  const floats = createRandom(1)
  const shapes = {
    'fc.weight': [hiddenSize, 2 * hiddenSize],
    'fc.bias': [hiddenSize],
    'layers.0.self_attn.q_proj.weight': [heads * headSize, hiddenSize],
    'layers.0.self_attn.k_proj.weight': [kvHeads * headSize, hiddenSize],
    'layers.0.self_attn.v_proj.weight': [kvHeads * headSize, hiddenSize],
    'layers.0.self_attn.o_proj.weight': [hiddenSize, heads * headSize],
    'layers.0.mlp.gate_proj.weight': [intermediateSize, hiddenSize],
    'layers.0.mlp.up_proj.weight': [intermediateSize, hiddenSize],
    'layers.0.mlp.down_proj.weight': [hiddenSize, intermediateSize],
    'layers.0.post_attention_layernorm.weight': [hiddenSize],
  }
  const elements = (shape) => shape.reduce((product, extent) => product * extent, 1)
  const parameters = new Map(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, data: floats(elements(shape), 0.04) }]),
  )
  const lossMask = new Uint8Array(sequences * positions)
  for (let row = 0; row < lossMask.length; row++) {
    const position = row % positions
    lossMask[row] = position >= promptShare * positions && position < positions - 1 ? 1 : 0
  }
  return {
    parameters,
    lmHead: floats(draftVocabulary * hiddenSize, 0.05),
    // One embedding for each position: looking tokens up is not what is compared.
    embedded: floats(sequences * positions * hiddenSize, 0.1),
    features: floats(sequences * positions * hiddenSize, 1),
    lossMask,
    table: ropeTable({ headSize, positions }),
  }
}

async function startOurs({ parameters, lmHead, embedded, features, lossMask }, threads) {
  const rows = sequences * positions
  const device = openDevice({ kind: 'cpu', threads })
  const trainer = await createHeadTrainer({
    device,
    config: {
      ...sizes,
      architecture: 'llama',
      layers: 1,
      vocabSize: rows,
      normEpsilon: 1e-5,
      rope: { theta: 10_000, scaling: { type: 'default' } },
      hasQueryKeyNorm: false,
    },
    parameters,
    embedTokens: { name: 'embed_tokens', format: 'F32', shape: [rows, sizes.hiddenSize], data: embedded },
    lmHead,
    recipe: { alignmentSteps, topK },
    maxSequences: sequences,
    maxPositions: positions,
  })
  const batch = {
    sequences,
    positions,
    tokens: Uint32Array.from({ length: rows }, (_, row) => row),
    features,
    lossMask,
  }
  return {
    async step() {
      const start = performance.now()
      const losses = await trainer.accumulate(batch)
      await trainer.update({ learningRate })
      return { ms: performance.now() - start, losses: losses.map(({ total }) => total) }
    },
    async stop() {
      await trainer[Symbol.asyncDispose]()
      device.dispose()
    },
  }
}

async function startTorch(python, task, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'hass-trainer-'))
  const tensors = {}
  const write = (name, shape, data) => {
    tensors[name] = shape
    writeFileSync(join(folder, `${name}.bin`), Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  for (const [name, { shape, data }] of task.parameters) write(name, shape, data)
  write('embedded', [sequences, positions, sizes.hiddenSize], task.embedded)
  write('features', [sequences, positions, sizes.hiddenSize], task.features)
  write('lmHead', [draftVocabulary, sizes.hiddenSize], task.lmHead)
  write('ropeTable', [positions, sizes.headSize], task.table)
  write('mask', [sequences, positions], Float32Array.from(task.lossMask))
  const meta = { ...sizes, alignmentSteps, topK, learningRate, tensors, parameters: [...task.parameters.keys()] }
  writeFileSync(join(folder, 'meta.json'), JSON.stringify(meta))
  const script = fileURLToPath(new URL('torch_step.py', import.meta.url))
  const child = spawn(python, [script, folder, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const read = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('torch_step.py ended before its step did.')
    return JSON.parse(value)
  }
  const { version } = await read()
  return {
    version,
    step() {
      child.stdin.write('step\n')
      return read()
    },
    stop() {
      child.stdin.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const sorted = (values) => [...values].sort((a, b) => a - b)
const summary = (values) => {
  const all = sorted(values)
  return { min: all[0], median: all[all.length >> 1], max: all.at(-1) }
}

/** Steps of both in turns; their losses must agree before anything is timed. */
async function measure(python, promptShare, { rounds, threads }) {
  const task = createTask(promptShare)
  const ours = await startOurs(task, threads)
  const torch = await startTorch(python, task, threads)
  try {
    const [a, b] = [await ours.step(), await torch.step()]
    const isSame = a.losses.every((loss, i) => Math.abs(loss - b.losses[i]) <= 1e-4 * Math.abs(loss))
    if (!isSame) throw new Error(`Losses differ: ${a.losses} here, ${b.losses} in PyTorch.`)
    const times = { ours: [], torch: [] }
    for (let round = 0; round < rounds; round++) {
      times.ours.push((await ours.step()).ms)
      times.torch.push((await torch.step()).ms)
    }
    const [own, other] = [summary(times.ours), summary(times.torch)]
    return {
      promptShare,
      maskedPositions: task.lossMask.reduce((sum, mask) => sum + mask, 0),
      ours: own,
      torch: other,
      speedup: other.median / own.median,
      speedupOfMinima: other.min / own.min,
      version: torch.version,
    }
  } finally {
    torch.stop()
    await ours.stop()
  }
}

export async function compare(python) {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '7' },
      threads: { type: 'string', default: '2' },
    },
  })
  const options = { rounds: Number(values.rounds), threads: Number(values.threads) }
  const loadBefore = loadavg()[0]
  const results = []
  for (const share of promptShares) results.push(await measure(python, share, options))
  const facts = {
    cpu: cpus()[0].model,
    node: process.version,
    ...options,
    load: [loadBefore, loadavg()[0]],
    sizes: { ...sizes, draftVocabulary, sequences, positions, alignmentSteps },
    results,
  }
  if (values.json) {
    console.log(JSON.stringify(facts))
    return
  }
  console.log(`${facts.cpu}, ${options.threads} threads, Node ${facts.node}, PyTorch ${results[0].version}, float32`)
  console.log(
    `${sequences} × ${positions} positions, ${alignmentSteps} alignment steps, draft vocabulary ${draftVocabulary}`,
  )
  const show = ({ min, median, max }) => [min, median, max].map((ms) => ms.toFixed(0)).join(' / ')
  for (const { promptShare, maskedPositions, ours, torch, speedup, speedupOfMinima } of results) {
    console.log(
      `prompt ${100 * promptShare} %, losses at ${maskedPositions}: here ${show(ours)} ms, PyTorch ${show(torch)} ms, ` +
        `${speedup.toFixed(2)}× (of minima ${speedupOfMinima.toFixed(2)}×)`,
    )
  }
}
