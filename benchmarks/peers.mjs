// Plain decoding, prefill, load and memory beside node-llama-cpp: same file, threads and prompt, in turns.
import { spawnSync } from 'node:child_process'
import { createReadStream, statSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { loadEngine } from '../packages/engine/dist/index.js'
import { openDevice } from '../packages/kernels/dist/index.js'
import { modelPath } from '../packages/smollm2-135m-instruct/index.js'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
  },
})
const threads = Number(values.threads)
const rounds = Number(values.rounds)
const decodeTokens = 128
const contextTokens = 192
const prefillTokens = 512
const verifyRows = [1, 4, 8, 16]

const loadBefore = loadavg()
// A cold file would be charged to whoever reads it first.
for await (const _ of createReadStream(modelPath));

const bandwidth = [await readBandwidth()]
const startUp = measureStartUp()
const engine = await loadEngine({ draft: false, threads, keptPrefixes: 0, contextTokens: 2048 })
const { peer, peerModel } = await loadPeer()

const prompt = await promptOfLength(contextTokens)
const longPrompt = await promptOfLength(prefillTokens)
const samples = {
  plain: [],
  peer: [],
  prefill: [],
  peerPrefill: [],
  overhead: [],
  verify: Object.fromEntries(verifyRows.map((rows) => [rows, []])),
}
for (let round = 0; round <= rounds; round++) {
  const measured = {
    plain: await decodeOurs(),
    peer: await decodePeer(),
    prefill: await prefillOurs(),
    peerPrefill: await prefillPeer(),
    verify: await verifyCosts(),
  }
  // The first round warms up.
  if (round === 0) continue
  samples.plain.push(measured.plain.msPerToken)
  samples.overhead.push(measured.plain.overheadShare)
  samples.peer.push(measured.peer)
  samples.prefill.push(measured.prefill)
  samples.peerPrefill.push(measured.peerPrefill)
  for (const rows of verifyRows) samples.verify[rows].push(measured.verify[rows])
}
bandwidth.push(await readBandwidth())
await engine.dispose()
await peer.dispose()

const weightBytes = statSync(modelPath).size
const gigabytesPerSecond = Math.max(...bandwidth)
const limitMs = weightBytes / gigabytesPerSecond / 1e6
const report = {
  plainVsPeer: median(samples.peer) / median(samples.plain),
  bandwidthShare: limitMs / median(samples.plain),
  verifyCost: Object.fromEntries(
    [4, 8, 16].map((rows) => [rows, median(samples.verify[rows]) / median(samples.verify[1])]),
  ),
  prefillVsPeer: median(samples.peerPrefill) / median(samples.prefill),
  overheadShare: median(samples.overhead),
  loadSeconds: startUp.loadSeconds,
  peakMemoryMiB: startUp.peakMemoryMiB,
  raw: {
    msPerToken: spread(samples.plain),
    peerMsPerToken: spread(samples.peer),
    prefillMs: spread(samples.prefill),
    peerPrefillMs: spread(samples.peerPrefill),
    verifyMs: Object.fromEntries(verifyRows.map((rows) => [rows, spread(samples.verify[rows])])),
    readGBs: bandwidth,
    emptyProcessMiB: startUp.emptyMiB,
    weightsMiB: weightBytes / 2 ** 20,
  },
  environment: {
    cpu: cpus()[0]?.model,
    threads,
    node: process.version,
    rounds,
    decodeTokens,
    contextTokens,
    prefillTokens,
    loadAverage: { before: loadBefore, after: loadavg() },
  },
}
if (values.json) console.log(JSON.stringify(report, null, 2))
else print(report)

/** Tokens of ordinary text: what a chat would hold. */
async function promptOfLength(length) {
  const text = 'The river bends twice before it reaches the old mill, and the miller counts every boat that passes. '
  const { ids } = await engine.tokenizer.encode(text.repeat(Math.ceil(length / 10)))
  return ids.slice(0, length)
}

async function decodeOurs() {
  let busyMs
  const stream = engine.streamText({ tokens: prompt, maxTokens: decodeTokens })
  // Decoding begins with the first token, as in `decodeMs`.
  for await (const { type } of stream) if (type === 'text-delta') busyMs ??= engine.device.facts.busyMs
  const { speculation, timings, usage } = await stream.result
  if (usage.completionTokens !== decodeTokens)
    throw new Error('The text ended early: both sides must generate as many tokens.')
  return {
    msPerToken: timings.decodeMs / speculation.emitted,
    overheadShare: 1 - (engine.device.facts.busyMs - busyMs) / timings.decodeMs,
  }
}

async function prefillOurs() {
  const { timings } = await engine.generateText({ tokens: longPrompt, maxTokens: 1 })
  return timings.prefillMs
}

async function verifyCosts() {
  const { target } = engine
  const sequence = target.createSequence()
  const chain = Int32Array.from(prompt, (_, row) => row - 1)
  await target.forward([{ sequence, tokens: prompt, parents: chain, logits: 'none' }])
  sequence.commit([...prompt.keys()])
  const costs = {}
  for (const rows of verifyRows) {
    const tokens = prompt.slice(0, rows)
    const parents = Int32Array.from(tokens, (_, row) => (row === 0 ? -1 : (row - 1) >> 1))
    const times = []
    for (let i = 0; i < 8; i++) {
      const startedAt = performance.now()
      await target.forward([{ sequence, tokens, parents }])
      times.push(performance.now() - startedAt)
      sequence.commit([])
    }
    costs[rows] = median(times)
  }
  sequence.dispose()
  return costs
}

async function loadPeer() {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp')
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })
  return { peer: llama, peerModel: await llama.loadModel({ modelPath }) }
}

async function withPeerSequence(use) {
  const context = await peerModel.createContext({ contextSize: 2048, batchSize: prefillTokens, threads })
  try {
    return await use(context.getSequence())
  } finally {
    await context.dispose()
  }
}

function decodePeer() {
  return withPeerSequence(async (sequence) => {
    let count = 0
    let startedAt = 0
    for await (const _ of sequence.evaluate([...prompt], { temperature: 0, yieldEogToken: true })) {
      // The first token belongs to the prefill.
      if (count === 0) startedAt = performance.now()
      if (count++ === decodeTokens) break
    }
    return (performance.now() - startedAt) / (count - 1)
  })
}

function prefillPeer() {
  return withPeerSequence(async (sequence) => {
    const startedAt = performance.now()
    for await (const _ of sequence.evaluate([...longPrompt], { temperature: 0, yieldEogToken: true })) break
    return performance.now() - startedAt
  })
}

async function readBandwidth() {
  const device = openDevice({ kind: 'cpu', threads })
  try {
    const readings = []
    for (let i = 0; i < 3; i++) readings.push((await device.measure()).readGBs)
    return Math.max(...readings)
  } finally {
    await device.dispose()
  }
}

/** In processes of their own: an empty one, and one that loads and answers. */
function measureStartUp() {
  const engineUrl = new URL('../packages/engine/dist/index.js', import.meta.url).href
  const peak = 'process.resourceUsage().maxRSS / 1024'
  const load = `
    import { loadEngine } from ${JSON.stringify(engineUrl)}
    const startedAt = performance.now()
    const engine = await loadEngine({ draft: false, threads: ${threads}, contextTokens: 2048, cacheTokens: 2048 })
    const loadSeconds = (performance.now() - startedAt) / 1000
    await engine.generateText({ prompt: 'Hello', maxTokens: 16 })
    console.log(JSON.stringify({ loadSeconds, peakMiB: ${peak} }))
    await engine.dispose()`
  const runs = Array.from({ length: 3 }, () => JSON.parse(evaluate(load)))
  const emptyMiB = JSON.parse(evaluate(`console.log(JSON.stringify(${peak}))`))
  return {
    emptyMiB,
    loadSeconds: median(runs.map((run) => run.loadSeconds)),
    peakMemoryMiB: median(runs.map((run) => run.peakMiB)),
  }
}

function evaluate(program) {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

function spread(numbers) {
  return { min: Math.min(...numbers), median: median(numbers), max: Math.max(...numbers) }
}

function print({ raw, verifyCost, environment, ...figures }) {
  const number = (value) => value.toFixed(2)
  const range = ({ min, median: middle, max }) => `${number(min)} / ${number(middle)} / ${number(max)}`
  console.log(
    `${environment.cpu}, ${threads} threads, Node ${environment.node}, load average ${number(loadBefore[0])} to ${number(environment.loadAverage.after[0])}`,
  )
  console.log(`read bandwidth ${raw.readGBs.map(number).join(' and ')} GB/s; ${rounds} rounds, min / median / max`)
  console.log(
    `decode  ours ${range(raw.msPerToken)} ms a token, node-llama-cpp ${range(raw.peerMsPerToken)}: ${number(figures.plainVsPeer)} times as fast`,
  )
  console.log(
    `        ${number(100 * figures.bandwidthShare)} % of the read-bandwidth limit; ${number(100 * figures.overheadShare)} % outside native code`,
  )
  console.log(
    `prefill ours ${range(raw.prefillMs)} ms for ${prefillTokens}, node-llama-cpp ${range(raw.peerPrefillMs)}: ${number(figures.prefillVsPeer)} times as fast`,
  )
  console.log(
    `verify  ${Object.entries(raw.verifyMs)
      .map(([rows, ms]) => `T(${rows}) ${number(ms.median)} ms`)
      .join(', ')}; ratios ${Object.entries(verifyCost)
      .map(([rows, cost]) => `T(${rows})/T(1) ${number(cost)}`)
      .join(', ')}`,
  )
  console.log(
    `load    ${number(figures.loadSeconds)} s; peak memory ${number(figures.peakMemoryMiB)} MiB, an empty process ${number(raw.emptyProcessMiB)}, weights ${number(raw.weightsMiB)}`,
  )
}
