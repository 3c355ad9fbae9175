// Tests under a sanitizer; exits non-zero on a finding or a failed check, and prints counts.
//   node sanitize.mjs address|thread|none [--long] [NAME…]   the runtime through its C ABI, without Node
//   node sanitize.mjs address --addon                        the addon in Node: the suites of test/native
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { buildAddon, buildTests, compiler, root, run, sanitizers } from './sanitizer-build.mjs'

const environment = {
  // A refused allocation is an answer here, not an end.
  ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1:halt_on_error=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  // Its calloc writes every page: the gigabytes that a malformed program may ask for would be taken in earnest.
  TSAN_OPTIONS: 'allocator_may_return_null=1:max_allocation_size_mb=1024:halt_on_error=1:second_deadlock_stack=1',
}

/** Node is not built with the sanitizer: its runtime has to be there first. What V8 leaks at exit is not ours. */
function addonEnvironment(addon) {
  const runtimes = ['libasan.so', 'libubsan.so', 'libstdc++.so.6'].map((name) =>
    execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
  )
  return {
    ...environment,
    ASAN_OPTIONS: `${environment.ASAN_OPTIONS}:detect_leaks=0`,
    LD_PRELOAD: runtimes.join(' '),
    HASS_NATIVE_PATH: addon,
    // Else the suites below would not be among those that vitest looks at.
    HASS_LONG_TESTS: '',
  }
}

const [mode = 'address', ...rest] = process.argv.slice(2)
const isAddon = rest.includes('--addon')
if (!(mode in sanitizers) || (isAddon && mode !== 'address')) {
  console.error(`No sanitizer "${mode}" ${rest.join(' ')}: one of ${Object.keys(sanitizers).join(', ')}.`)
  process.exit(2)
}

let status
if (isAddon) {
  const addon = await buildAddon(mode)
  const vitest = join(root, '..', 'node_modules', 'vitest', 'vitest.mjs')
  const suites = ['addon.test.ts', 'addon.fuzz.test.ts', 'teardown.test.ts'].map((name) => `test/native/${name}`)
  const args = [vitest, 'run', '--root', join(root, '..'), '--testTimeout=300000', ...suites]
  status = await run(process.execPath, args, addonEnvironment(addon))
} else {
  status = await run(await buildTests(mode), rest, environment)
}
console.log(status === 0 ? `${mode}: no findings` : `${mode}: FAILED (${status})`)
process.exit(status === 0 ? 0 : 1)
