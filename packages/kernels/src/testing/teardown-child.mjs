// Starts a long program on the bare addon, then ends in the way that is asked for: see teardown.test.ts.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const [, , path, file, mode] = isMainThread ? process.argv : workerData

/** Returns once the run is under way. */
function start() {
  const addon = createRequire(import.meta.url)(path)
  const { words, weight, dims, tensors, weightTensor } = JSON.parse(readFileSync(file, 'utf8'))
  const device = addon.createDevice('auto', 2)
  const buffer = addon.createWeight(device, weight.dtype, weight.rows, weight.columns)
  const bindings = new Float64Array(tensors)
  bindings[weightTensor] = buffer
  const program = addon.createProgram(device, Int32Array.from(words), bindings)
  const { parameterBytes } = addon.programFacts(program)
  const run = () => addon.runProgram(program, Int32Array.from(dims), new Uint8Array(parameterBytes), 1)
  run().catch(() => {})
  const second = run()
  second.catch(() => {})
  return { addon, device, program, second }
}

const later = (action) => setTimeout(action, 30)

if (!isMainThread) {
  const { second } = start()
  parentPort.postMessage('started')
  // The worker's event loop stays alive until the runs end, or the worker is terminated.
  second.then(() => parentPort.postMessage('finished'))
} else if (mode === 'exit') {
  start()
  later(() => process.exit(7))
} else if (mode === 'end') {
  // Nothing but the pending runs keeps the process alive.
  start().second.then(() => console.log('finished'))
} else if (mode === 'dispose') {
  const { addon, device, program, second } = start()
  later(() => {
    addon.dispose(program)
    addon.dispose(device)
  })
  second.catch((error) => console.log(error.code))
} else if (mode === 'terminate') {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: process.argv })
  worker.on('message', (message) => {
    console.log(message)
    if (message === 'started') later(async () => console.log('terminated', await worker.terminate()))
  })
}
