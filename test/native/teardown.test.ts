import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { addon, addonPath, slow } from './addon-support.js'

const child = fileURLToPath(new URL('./teardown-child.mjs', import.meta.url))

async function run(scenario: string) {
  const process_ = spawn(process.execPath, ['--expose-gc', child, addonPath, scenario], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 25_000,
    killSignal: 'SIGKILL',
  })
  let text = ''
  let errors = ''
  process_.stdout.on('data', (data) => {
    text += data
  })
  process_.stderr.on('data', (data) => {
    errors += data
  })
  const [code, signal] = (await once(process_, 'close')) as [number | null, string | null]
  return { code, signal, text: text.trim(), errors }
}

for (const scenario of ['exit', 'exitIdle', 'natural', 'pending', 'terminate', 'workerExit', 'collect']) {
  it(`ends in order: ${scenario}`, async () => {
    expect(await run(scenario)).toEqual({ code: 7, signal: null, text: 'ready', errors: '' })
  })
}

it('ends in order: an uncaught error in mid-kernel', async () => {
  const { code, signal, errors } = await run('uncaught')
  expect({ code, signal }).toEqual({ code: 1, signal: null })
  expect(errors).toContain('on purpose')
})

it('uses no processor time when nothing runs', async () => {
  const device = addon.createDevice('auto', 4)
  const { program, parameters } = slow(device, 1)
  await addon.runProgram(program, Int32Array.of(8), parameters, 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const before = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, 400))
  const { user, system } = process.cpuUsage(before)
  addon.dispose(device)
  // One spinning thread would have used 400 ms; what is left is the test runner's own.
  expect((user + system) / 1000).toBeLessThan(100)
})
