// `npm test`: sets up, builds, then checks and tests everything; ends with one line of counts.
//   --only golden    the suites over the oracle data alone (HASS_GOLDEN_DIR points them elsewhere)
//   --only laws      speculative against plain decoding, bit for bit, and what breaks it
//   --only long      what is too slow for every day
//   --only cuda-emulated   every suite of devices on CUDA's kernels, run block by block on the CPU
//   --only gpu       the same suites on a GPU; without a device it says so and ends with status 3
//   --only checks    format, types, unused code, imports, package contents, READMEs, examples
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, root, run, say } from './bootstrap.mjs'
import { workspaceChecks } from './checks.mjs'
import { hasSanitizer, sanitizerTools, sanitizerViolations } from './compute-sanitizer.mjs'

const deviceSuites = ['packages/kernels/', 'packages/models/', 'test/traces']
const scopes = {
  all: undefined,
  golden: ['golden'],
  laws: ['test/laws'],
  long: [],
  checks: undefined,
  'cuda-emulated': deviceSuites,
  gpu: deviceSuites,
}
/** Kinds of devices by scope; the tests of others are left out. */
const kinds = { 'cuda-emulated': 'cuda-emulated', gpu: 'cuda' }
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : 'all'
if (!(only in scopes)) {
  console.error(`--only ${only} is unknown; it may be ${Object.keys(scopes).join(', ')}.`)
  process.exit(2)
}

const totals = { passed: 0, failed: 0 }

try {
  bootstrap()
  if (only === 'gpu') await requireGpu()
  if (only === 'all' || only === 'checks') runChecks()
  if (only !== 'checks') runTests(scopes[only] ?? [])
  if (only === 'gpu') runSanitizer()
} catch (error) {
  console.error(error.message)
  totals.failed += 1
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed > 0 ? 1 : 0

function runChecks() {
  say('Checking the workspace')
  for (const [name, check] of workspaceChecks()) {
    const startedAt = performance.now()
    const findings = check()
    totals[findings === undefined ? 'passed' : 'failed'] += 1
    console.log(
      `${findings === undefined ? '✓' : '✗'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
    )
    if (findings !== undefined) console.log(findings)
  }
}

/** Ends the process with status 3 where no GPU can be used: nothing was tested, and nothing has failed. */
async function requireGpu() {
  const { openDevice } = await import(join(root, 'packages/kernels/dist/index.js'))
  try {
    const device = openDevice({ kind: 'cuda' })
    console.log(`Testing on ${device.facts.isa}.`)
    device.dispose()
  } catch (error) {
    console.log(`Nothing was tested: ${error.message}`)
    process.exit(3)
  }
}

/** Each tool of compute-sanitizer counts as a test. */
function runSanitizer() {
  say('Running the operations under compute-sanitizer')
  if (!hasSanitizer()) return console.log('compute-sanitizer is not there: its tools were not run.')
  for (const tool of sanitizerTools) {
    const violations = sanitizerViolations(tool)
    totals[violations === undefined ? 'passed' : 'failed'] += 1
    console.log(`${violations === undefined ? '✓' : '✗'} ${tool}`)
    if (violations !== undefined) console.log(violations)
  }
}

function runTests(filters) {
  say('Running the tests')
  const folder = join(root, '.cache')
  const report = join(folder, 'vitest.json')
  mkdirSync(folder, { recursive: true })
  rmSync(report, { force: true })
  const args = ['run', ...filters, '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`]
  const kind = kinds[only]
  // Emulated, the longest tests take minutes.
  if (kind) args.push('--testNamePattern', `\\b${kind}\\b`, '--testTimeout=600000')
  const { ok } = run('vitest', args, {
    env: { ...(only === 'long' && { HASS_LONG_TESTS: '1' }), ...(kind && { HASS_TEST_DEVICES: kind }) },
  })
  const { numPassedTests, numFailedTests, numTotalTests, numFailedTestSuites } = JSON.parse(
    readFileSync(report, 'utf8'),
  )
  totals.passed += numPassedTests
  // A file that does not even load has no failed tests, and a run without tests proves nothing.
  const isBroken = !ok && numFailedTests === 0
  totals.failed += Math.max(
    numFailedTests,
    isBroken ? Math.max(numFailedTestSuites, 1) : 0,
    numTotalTests === 0 ? 1 : 0,
  )
  if (kind && numPassedTests === 0) totals.failed += 1
  const skipped = numTotalTests - numPassedTests - numFailedTests
  if (skipped > 0) console.log(`${skipped} tests were skipped and count as neither.`)
}
