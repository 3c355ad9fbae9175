// npm run bench:kernels [-- --json] [--threads 2] [--rounds 25]
// A SmolLM2-shaped program with random weights beside the read bandwidth measured in the same run.
import { cpus, loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { openDevice } from '../dist/index.js'
import { createLinearProgram, createLlamaProgram, shapes } from './llama-program.mjs'

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '25' },
  },
})
const threads = Number(options.threads)
const rounds = Number(options.rounds)
const context = 256
const rowCounts = [1, 2, 3, 4, 5, 6, 8, 16]
const prefillRows = 512

const loadBefore = loadavg()
await checkAgainstReference()

const device = openDevice({ kind: 'cpu', threads })
const readings = [await device.measure()]
const model = await createLlamaProgram(device, shapes.smollm2, { context, maxRows: prefillRows })

// What JavaScript prepares is not the device's delay.
const stepInputs = Object.fromEntries(rowCounts.map((rows) => [rows, model.inputs(context, rows)]))
const prefillInputs = model.inputs(0, prefillRows, 1)
await model.program.run({ inputs: model.inputs(0, context, 1) })
// What the machine itself does to a timer, before what the device does to it.
const idleDelay = monitorEventLoopDelay({ resolution: 1 })
idleDelay.enable()
await new Promise((resolve) => setTimeout(resolve, 2000))
idleDelay.disable()
const delay = monitorEventLoopDelay({ resolution: 1 })
let longestCallMs = 0
delay.enable()
const steps = await measureSteps()
const prefillMs = []
for (let round = 0; round < 3; round++) prefillMs.push(await timeRun(prefillInputs))
delay.disable()
const delays = { ...milliseconds(delay), longestCall: longestCallMs, idle: milliseconds(idleDelay) }
const kernels = await measureKernels()
readings.push(await device.measure())
// The best reading is the machine's; a slower one was disturbed, and would flatter the share.
const peak = Object.fromEntries(
  Object.keys(readings[0]).map((key) => [
    key,
    (key === 'dispatchUs' ? Math.min : Math.max)(...readings.map((r) => r[key])),
  ]),
)

const step1 = steps[1].median
const bytes = model.weightBytes + model.cacheBytes(context)
const report = {
  environment: {
    cpu: cpus()[0].model,
    node: process.version,
    isa: device.facts.isa,
    threads,
    seed: 12345,
    context,
    rounds,
    loadAverage: { before: loadBefore, after: loadavg() },
  },
  readings,
  bytesPerToken: bytes,
  stepMs: steps,
  ratios: {
    median: Object.fromEntries(rowCounts.slice(1).map((rows) => [rows, steps[rows].median / step1])),
    min: Object.fromEntries(rowCounts.slice(1).map((rows) => [rows, steps[rows].min / steps[1].min])),
  },
  bandwidthShare: {
    median: bytes / (peak.readGBs * 1e9) / (step1 / 1e3),
    min: bytes / (peak.readGBs * 1e9) / (steps[1].min / 1e3),
  },
  prefill: {
    rows: prefillRows,
    ms: summary(prefillMs),
    tokensPerSecond: (prefillRows / summary(prefillMs).median) * 1e3,
  },
  kernels: kernels.map(({ dtype, gmacs, ...rest }) => ({
    dtype,
    ...rest,
    gmacs,
    shareOfPeak: gmacs / { Q4: peak.q4GMACs, Q8: peak.int8GMACs, F32: peak.fp32GMACs }[dtype],
  })),
  eventLoopDelayMs: delays,
}
device.dispose()
if (options.json) console.log(JSON.stringify(report, null, 2))
else print(report)

/** No figure is worth anything from a kernel that computes something else. */
async function checkAgainstReference() {
  const logits = []
  for (const kind of ['reference', 'cpu']) {
    const small = openDevice({ kind, ...(kind === 'cpu' && { threads }) })
    const { program, inputs } = await createLlamaProgram(small, shapes.small, { context: 8, maxRows: 8 })
    await program.run({ inputs: inputs(0, 5) })
    const outputs = await program.run({ inputs: inputs(5, 4) })
    logits.push(outputs.logits.readAll())
    small.dispose()
  }
  const difference = logits[0].findIndex((value, i) => !Object.is(value, logits[1][i]))
  if (difference >= 0 || logits[0].some(Number.isNaN)) {
    throw new Error(`cpu and reference differ at logit ${difference}: no benchmark of wrong kernels`)
  }
}

async function timeRun(inputs) {
  const startedAt = performance.now()
  const run = model.program.run({ inputs })
  longestCallMs = Math.max(longestCallMs, performance.now() - startedAt)
  await run
  return performance.now() - startedAt
}

/** Row counts interleaved, so that a disturbance meets all of them. */
async function measureSteps() {
  const times = Object.fromEntries(rowCounts.map((rows) => [rows, []]))
  for (let round = -2; round < rounds; round++) {
    for (const rows of rowCounts) {
      const ms = await timeRun(stepInputs[rows])
      if (round >= 0) times[rows].push(ms)
    }
  }
  return Object.fromEntries(rowCounts.map((rows) => [rows, summary(times[rows])]))
}

async function measureKernels() {
  const results = []
  const linears = [
    { dtype: 'Q4', out: 1536, columns: 576, repeats: 16 },
    { dtype: 'Q4', out: 576, columns: 1536, repeats: 16 },
    { dtype: 'Q8', out: 49152, columns: 576, repeats: 1 },
    { dtype: 'F32', out: 576, columns: 576, repeats: 16 },
  ]
  for (const linear of linears) {
    const program = await createLinearProgram(device, linear)
    for (const rows of rowCounts) {
      const inputs = { x: new Float32Array(rows * linear.columns).map((_, i) => Math.sin(i)) }
      const times = []
      for (let round = 0; round < 12; round++) {
        const startedAt = performance.now()
        await program.run({ inputs })
        times.push(performance.now() - startedAt)
      }
      const ms = summary(times.slice(2))
      const macs = linear.repeats * linear.out * linear.columns * rows
      results.push({
        dtype: linear.dtype,
        shape: [linear.out, linear.columns],
        rows,
        ms,
        gmacs: macs / ms.median / 1e6,
      })
    }
    program.dispose()
  }
  return results
}

function milliseconds(histogram) {
  return { p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 }
}

function summary(times) {
  const sorted = [...times].sort((a, b) => a - b)
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted.at(-1) }
}

function print({ environment, stepMs, ratios, bandwidthShare, prefill, kernels, eventLoopDelayMs, bytesPerToken }) {
  const digits = (value) => value.toFixed(2)
  const range = ({ min, median, max }) => `${digits(min)} / ${digits(median)} / ${digits(max)}`
  console.log(`${environment.cpu}, ${environment.isa}, ${threads} threads, Node ${environment.node}`)
  console.log(
    `load average ${environment.loadAverage.before.map(digits)} before, ${environment.loadAverage.after.map(digits)} after`,
  )
  for (const [i, reading] of readings.entries()) {
    console.log(
      `reading ${i + 1}: ${Object.entries(reading)
        .map(([key, value]) => `${key} ${digits(value)}`)
        .join(', ')}`,
    )
  }
  console.log(`\nbytes per token ${digits(bytesPerToken / 1e6)} MB; milliseconds min / median / max`)
  for (const rows of rowCounts) {
    const ratio =
      rows === 1 ? '' : `   T(${rows})/T(1) ${digits(ratios.median[rows])} (of minima ${digits(ratios.min[rows])})`
    console.log(`T(${rows})`.padEnd(8) + range(stepMs[rows]) + ratio)
  }
  console.log(`share of bandwidth ${digits(bandwidthShare.median)} (of minima ${digits(bandwidthShare.min)})`)
  console.log(`prefill of ${prefill.rows}: ${range(prefill.ms)} ms, ${digits(prefill.tokensPerSecond)} tokens/s`)
  console.log(
    `event loop delay p99 ${digits(eventLoopDelayMs.p99)} ms, max ${digits(eventLoopDelayMs.max)} ms, idle before: p99 ` +
      `${digits(eventLoopDelayMs.idle.p99)} ms, max ${digits(eventLoopDelayMs.idle.max)} ms (timer of 1 ms); ` +
      `longest call of run ${digits(eventLoopDelayMs.longestCall)} ms\n`,
  )
  for (const { dtype, shape, rows, gmacs, shareOfPeak, ms } of kernels) {
    console.log(
      `${dtype} [${shape}] × ${rows}`.padEnd(24) +
        `${digits(gmacs).padStart(8)} GMAC/s, ${digits(shareOfPeak)} of the measured peak (${range(ms)} ms)`,
    )
  }
}
