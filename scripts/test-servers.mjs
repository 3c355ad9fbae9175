// `npm run test:servers`: the client against servers that are real, where this machine has them. Python and its packages
// are needed by nothing else; what is missing is said, and skipped.
//   HASS_PYTHON    a Python with transformers[serving] and gguf: `transformers serve` answers with the embedded model
//   HASS_SERVER    the URL of any other server; HASS_SERVER_KIND what it is, HASS_SERVER_MODEL which of its models
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { bootstrap, root, run } from './bootstrap.mjs'
import { saveEmbeddedModel } from './save-embedded-model.mjs'

/** Loading a model of 135 million parameters takes a minute on two cores. */
const startMs = 600_000

const { HASS_SERVER: givenUrl, HASS_PYTHON: python = 'python3' } = process.env

const servers = givenUrl ? [givenServer()] : [await startTransformers()].filter(Boolean)
let failed = 0
for (const server of servers) {
  try {
    console.log(`Testing the client against ${server.name} at ${server.url}`)
    const environment = {
      HASS_TEST_SERVER: server.url,
      HASS_TEST_SERVER_KIND: server.kind,
      HASS_TEST_MODEL: server.model,
    }
    const { ok } = run('vitest', ['run', 'packages/client/src/real-server'], { env: environment })
    if (!ok) failed += 1
  } finally {
    server.stop()
  }
}
if (servers.length === 0) console.log('No server was tested.')
process.exitCode = failed > 0 ? 1 : 0

function givenServer() {
  bootstrap()
  const { HASS_SERVER_KIND: kind = 'openai', HASS_SERVER_MODEL: name = 'default' } = process.env
  return { name: 'the server given', url: givenUrl, kind, model: name, stop: () => {} }
}

async function startTransformers() {
  const packages = 'transformers, torch, fastapi, uvicorn, gguf'
  const found = spawnSync(python, ['-c', `import ${packages}`], { encoding: 'utf8' })
  if (found.status !== 0) {
    const reason = found.error?.message ?? found.stderr.trim().split('\n').at(-1)
    console.log(`Skipped: transformers serve. ${python} cannot import ${packages}: ${reason}`)
    return undefined
  }
  bootstrap()
  const model = await saveEmbeddedModel(python)
  const port = await freePort()
  mkdirSync(join(root, '.cache'), { recursive: true })
  const logPath = join(root, '.cache/transformers-serve.log')
  // A file, not a pipe: nobody would read a pipe while the tests run.
  const log = openSync(logPath, 'w')
  const folder = python.includes('/') ? dirname(python) : ''
  const child = spawn(
    join(folder, 'transformers'),
    ['serve', '--host', '127.0.0.1', '--port', String(port), '--device', 'cpu', model],
    { stdio: ['ignore', log, log], env: { ...process.env, HF_HUB_OFFLINE: '1' } },
  )
  const ended = Promise.race([once(child, 'exit'), once(child, 'error')])
  const url = `http://127.0.0.1:${port}`
  console.log('Starting transformers serve with the embedded model …')
  if (!(await answers(`${url}/health`, ended))) {
    child.kill()
    throw new Error(`transformers serve did not start: ${readFileSync(logPath, 'utf8').slice(-2000)}`)
  }
  return { name: 'transformers serve', url, kind: 'openai', model, stop: () => child.kill() }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Asks until somebody answers, or the server has ended, or time is up. */
async function answers(url, ended) {
  let hasEnded = false
  ended.then(
    () => {
      hasEnded = true
    },
    () => {
      hasEnded = true
    },
  )
  for (const endsAt = Date.now() + startMs; Date.now() < endsAt && !hasEnded; ) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    )
    if (ok) return true
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  return false
}
