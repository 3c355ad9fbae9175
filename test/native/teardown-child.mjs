// Started by teardown.test.ts: `node teardown-child.mjs ADDON SCENARIO`. Prints `ready` once a kernel is running.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const [path, scenario] = isMainThread ? process.argv.slice(2) : [workerData.path, workerData.scenario]
const addon = createRequire(import.meta.url)(path)

/** A program of `links` float linears of [size, size] over 64 rows, and the start of a run of it. */
function startRun(device, links, size = 2048) {
  const weight = addon.createWeight(device, 0, size, size)
  const tensors = [1, 0, 2, size, size, 1, 1, 3, 0, 2, -1, size, 1, 1]
  const operations = []
  for (let link = 0; link < links; link++) {
    tensors.push(link === links - 1 ? 4 : 0, 0, 2, -1, size, 1, 1)
    operations.push(3, 5, link + 2, link + 1, 0, -1, -1, 1, 0)
  }
  const words = Int32Array.of(0x53534148, 1, 1, links + 2, links, 64, ...tensors, ...operations)
  const bindings = new Float64Array(links + 2)
  bindings[0] = weight
  const program = addon.createProgram(device, words, bindings)
  const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
  return addon.runProgram(program, Int32Array.of(64), parameters, 1)
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const scenarios = {
  async exit() {
    startRun(addon.createDevice('auto', 3), 500)
    await later(20)
    console.log('ready')
    process.exit(7)
  },
  async exitIdle() {
    const device = addon.createDevice('auto', 3)
    await startRun(device, 1)
    console.log('ready')
    process.exit(7)
  },
  async natural() {
    await startRun(addon.createDevice('auto', 3), 2)
    console.log('ready')
    process.exitCode = 7
  },
  async uncaught() {
    startRun(addon.createDevice('auto', 3), 500)
    await later(20)
    console.log('ready')
    setImmediate(() => {
      throw new Error('on purpose')
    })
  },
  // What nobody disposes of is freed with its environment; what is pending keeps the process alive.
  async pending() {
    startRun(addon.createDevice('auto', 2), 3).then(() => {
      console.log('ready')
      process.exitCode = 7
    })
  },
  async terminate() {
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { path, scenario: 'workerRun' } })
      await new Promise((resolve) => worker.once('message', resolve))
      await later(round * 3)
      await worker.terminate()
    }
    // The addon still works here, and in a new worker.
    await startRun(addon.createDevice('auto', 2), 1)
    console.log('ready')
    process.exitCode = 7
  },
  async workerRun() {
    const device = addon.createDevice('auto', 3)
    startRun(device, 500).catch(() => {})
    startRun(device, 500).catch(() => {})
    parentPort.postMessage('running')
  },
  async workerExit() {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { path, scenario: 'workerExitRun' } })
    const code = await new Promise((resolve) => worker.once('exit', resolve))
    console.log('ready')
    process.exitCode = code + 4
  },
  async workerExitRun() {
    startRun(addon.createDevice('auto', 3), 500).catch(() => {})
    await later(10)
    process.exit(3)
  },
  // Nobody holds the program or the promise: garbage collection meets a running kernel.
  async collect() {
    const device = addon.createDevice('auto', 2)
    for (let i = 0; i < 20; i++) {
      startRun(device, 1, 256).catch(() => {})
      globalThis.gc()
      await later(1)
    }
    addon.dispose(device)
    globalThis.gc()
    await later(5)
    console.log('ready')
    process.exitCode = 7
  },
}

await scenarios[scenario]()
