// `npm test`: sets up, builds, then checks and tests everything; ends with one line of counts.
//   --only golden    the suites over the oracle data alone (HASS_GOLDEN_DIR points them elsewhere)
//   --only laws      speculative against plain decoding, bit for bit, and what breaks it
//   --only long      what is too slow for every day
//   --only checks    format, types, unused code, imports, package contents, READMEs, examples
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, root, run, say } from './bootstrap.mjs'
import { workspaceChecks } from './checks.mjs'

const scopes = { all: undefined, golden: ['golden'], laws: ['test/laws'], long: [], checks: undefined }
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : 'all'
if (!(only in scopes)) {
  console.error(`--only ${only} is unknown; it may be ${Object.keys(scopes).join(', ')}.`)
  process.exit(2)
}

const totals = { passed: 0, failed: 0 }

try {
  bootstrap()
  if (only === 'all' || only === 'checks') runChecks()
  if (only !== 'checks') runTests(scopes[only] ?? [])
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

function runTests(filters) {
  say('Running the tests')
  const folder = join(root, '.cache')
  const report = join(folder, 'vitest.json')
  mkdirSync(folder, { recursive: true })
  rmSync(report, { force: true })
  const args = ['run', ...filters, '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`]
  const { ok } = run('vitest', args, { env: only === 'long' ? { HASS_LONG_TESTS: '1' } : {} })
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
  const skipped = numTotalTests - numPassedTests - numFailedTests
  if (skipped > 0) console.log(`${skipped} tests were skipped and count as neither.`)
}
