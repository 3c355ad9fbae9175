// What the boundary, the executor and the thread pool cost by themselves: `node overhead.mjs [--json]`.
import { createRequire } from 'node:module'

const addon = createRequire(import.meta.url)('../build/Release/hass.node')
const columns = 8

/** A chain of `links` additions of one short row: kernels that take next to no time. */
function chain(links) {
  const tensors = [3, 0, 2, 1, columns, 1, 1]
  const operations = []
  for (let link = 1; link <= links; link++) {
    tensors.push(link === links ? 4 : 0, 0, 2, 1, columns, 1, 1)
    operations.push(11, 3, link, link - 1, link - 1, 0)
  }
  return Int32Array.of(0x53534148, 1, 0, links + 1, links, ...tensors, ...operations)
}

/** Microseconds of one awaited run, one after the other: quickest and median of so many. */
async function timeRuns(device, links, repetitions) {
  const program = addon.createProgram(device, chain(links), new Float64Array(links + 1))
  const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
  const dims = new Int32Array(0)
  const times = []
  for (let i = 0; i < repetitions; i++) {
    const start = process.hrtime.bigint()
    await addon.runProgram(program, dims, parameters, 1)
    times.push(Number(process.hrtime.bigint() - start) / 1000)
  }
  addon.dispose(program)
  times.sort((a, b) => a - b)
  return { min: times[0], median: times[times.length >> 1] }
}

const results = []
for (const threads of [1, 2]) {
  const device = addon.createDevice('auto', threads)
  await timeRuns(device, 0, 2000)
  const empty = await timeRuns(device, 0, 20000)
  const long = await timeRuns(device, 1000, 300)
  const { dispatchUs } = await addon.measureDevice(device)
  results.push({
    threads,
    emptyRunUs: empty,
    operationUs: { min: (long.min - empty.min) / 1000, median: (long.median - empty.median) / 1000 },
    dispatchUs,
  })
  addon.dispose(device)
}

if (process.argv.includes('--json')) {
  console.log(JSON.stringify(results))
} else {
  const show = ({ min, median }) => `${min.toFixed(2)} (median ${median.toFixed(2)})`
  for (const { threads, emptyRunUs, operationUs, dispatchUs } of results) {
    console.log(
      `${threads} thread${threads > 1 ? 's' : ''}: empty run ${show(emptyRunUs)} µs, per operation ${show(operationUs)} µs, ` +
        `parallel region ${dispatchUs.toFixed(2)} µs`,
    )
  }
}
