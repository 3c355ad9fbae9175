// npm run bench:gpu [-- --models smollm2,llama3] [--rounds 25] [--json] [--record FILE]
// Forward passes on a GPU: T(rows) of programs with random weights, after a check against the reference device. Without
// a GPU it says so and ends with status 3: nothing was measured. --record adds the figures to a file that
// native/scripts/cuda-static.mjs puts beside what it predicts; --check ends after the check.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CudaUnavailableError, openDevice } from '../dist/index.js'
import { createLlamaProgram, shapes } from './llama-program.mjs'

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'smollm2,llama3' },
    rounds: { type: 'string', default: '25' },
    json: { type: 'boolean', default: false },
    record: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
})
const context = 1024
const rowCounts = [1, 2, 4, 8, 16, 32, 64]
const rounds = Number(options.rounds)

const device = openGpu()
if (options.record && device && !device.facts.gpu) {
  console.error('--record is for a GPU: times of emulated kernels say nothing of one.')
  process.exitCode = 2
  device.dispose()
} else if (device) {
  await checkAgainstReference()
  if (!options.check) await measure()
  device.dispose()
}

function openGpu() {
  try {
    return openDevice({ kind: 'cuda' })
  } catch (error) {
    if (!(error instanceof CudaUnavailableError)) throw error
    console.log(`Nothing was measured: ${error.message}`)
    process.exitCode = 3
  }
}

/** No figure is worth anything from a kernel that computes something else. */
async function checkAgainstReference() {
  const reference = openDevice({ kind: 'reference' })
  const logits = []
  for (const each of [reference, device]) {
    const { program, inputs } = await createLlamaProgram(each, shapes.small, { context: 8, maxRows: 8 })
    await program.run({ inputs: inputs(0, 5) })
    const outputs = await program.run({ inputs: inputs(5, 4) })
    logits.push(outputs.logits.readAll())
    program.dispose()
  }
  reference.dispose()
  const difference = logits[0].findIndex((value, i) => !Object.is(value, logits[1][i]))
  if (difference >= 0 || logits[0].some(Number.isNaN)) {
    throw new Error(`cuda and reference differ at logit ${difference}: no benchmark of wrong kernels`)
  }
  console.error('The bits are those of the reference device.')
}

async function measure() {
  const { isa, gpu } = device.facts
  const measured = []
  for (const name of options.models.split(',')) {
    if (!shapes[name])
      throw new Error(`There is no model "${name}"; expected some of ${Object.keys(shapes).join(', ')}.`)
    measured.push({
      date: new Date().toISOString().slice(0, 10),
      gpu: gpu?.name ?? 'none: emulated',
      isa,
      driver: gpu?.driver ?? 0,
      node: process.version,
      model: name,
      weights: 'Q4',
      context,
      rounds,
      ms: await measureModel(shapes[name]),
    })
  }
  if (options.json) console.log(JSON.stringify(measured, null, 2))
  else for (const each of measured) print(each)
  if (options.record) record(measured)
  profile()
}

/** Row counts interleaved, so that a disturbance meets all of them. */
async function measureModel(shape) {
  const { program, inputs } = await createLlamaProgram(device, shape, { context, maxRows: 64, maxLogitRows: 64 })
  const prepared = rowCounts.map((rows) => inputs(context, rows))
  const times = rowCounts.map(() => [])
  for (let round = -3; round < rounds; round++) {
    for (const [i, each] of prepared.entries()) {
      const startedAt = performance.now()
      await program.run({ inputs: each })
      if (round >= 0) times[i].push(performance.now() - startedAt)
    }
  }
  program.dispose()
  return Object.fromEntries(rowCounts.map((rows, i) => [rows, summary(times[i])]))
}

function summary(times) {
  const sorted = times.toSorted((a, b) => a - b)
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted.at(-1) }
}

function print({ gpu, isa, model, ms }) {
  console.log(`${model}, Q4 weights, context ${context}, on ${gpu} (${isa}); ${rounds} rounds, ms`)
  for (const rows of rowCounts) {
    const { min, median, max } = ms[rows]
    const ratio = (median / ms[1].median).toFixed(2)
    console.log(`  T(${rows}): ${min.toFixed(2)} / ${median.toFixed(2)} / ${max.toFixed(2)}, ${ratio} of T(1)`)
  }
}

function record(measured) {
  const earlier = existsSync(options.record) ? JSON.parse(readFileSync(options.record, 'utf8')) : []
  const isReplaced = (old) => measured.some(({ gpu, model }) => old.gpu === gpu && old.model === model)
  writeFileSync(
    options.record,
    `${JSON.stringify([...earlier.filter((old) => !isReplaced(old)), ...measured], null, 2)}\n`,
  )
}

/** What Nsight Compute says of each kernel of the check, where it is installed. */
function profile() {
  if (spawnSync('ncu', ['--version'], { stdio: 'ignore' }).status !== 0) {
    return console.error('ncu is not there: no kernel was profiled.')
  }
  const script = [process.argv[1], '--check']
  spawnSync('ncu', ['--section', 'SpeedOfLight', '--target-processes', 'all', process.execPath, ...script], {
    stdio: ['ignore', 2, 2],
  })
}
