import { describe, expect, it } from 'vitest'
import { checkGates } from './cuda-gates.js'

const { flawsOf } = (await import(new URL('../../native/scripts/cuda-static/gates.mjs', import.meta.url).href)) as {
  flawsOf(kernel: object, ceiling: object | undefined, largest: object | undefined): string[]
}

// What has been compiled once is remembered until a source changes.
it('CUDA kernels keep to what is stated beside them, on sm_80', { timeout: 900_000 }, ({ skip }) => {
  const { reason, problems } = checkGates('80')
  skip(reason !== undefined, reason)
  expect(problems).toBe('')
})

describe('the gates of CUDA kernels notice', () => {
  const ceiling = { registers: 96, sharedBytes: 90 * 1024 }
  const largest = { threads: 64, sharedBytes: 87040 }
  const kernel = {
    name: 'quantized_linear<16, 1, 8>',
    architecture: 80,
    registers: 96,
    localBytes: 0,
    spilledBytes: 0,
    ptx: ['cp.async.cg.shared.global', 'mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32'],
    machineCode: ['IMMA.16832.S8.S8', 'LDGSTS.E.BYPASS.128'],
  }

  it('nothing in a sound one, with or without its machine code', () => {
    expect(flawsOf(kernel, ceiling, largest)).toEqual([])
    expect(flawsOf({ ...kernel, machineCode: [] }, ceiling, largest)).toEqual([])
  })

  it.each([
    ['a register too many', { registers: 97 }, /97 registers, 96 are stated/],
    ['spills', { spilledBytes: 8 }, /8 bytes are spilled/],
    ['local memory', { localBytes: 16 }, /16 bytes of local memory/],
    ['local memory in PTX', { ptx: [...kernel.ptx, 'ld.local.u32'] }, /local memory in its PTX/],
    ['local memory in machine code', { machineCode: [...kernel.machineCode, 'LDL.64'] }, /in its machine code/],
    ['missing tensor cores', { ptx: ['cp.async.cg.shared.global'] }, /lacks .*mma.* in PTX/],
    ['missing tensor cores in machine code', { machineCode: ['LDGSTS.E'] }, /lacks .*IMMA in machine code/],
    ['missing PTX', { ptx: [] }, /PTX was not found/],
  ])('%s', (_, change, expected) => {
    expect(flawsOf({ ...kernel, ...change }, ceiling, largest).join()).toMatch(expected)
  })

  it('shared memory beyond what is stated, and beyond what every GPU has', () => {
    expect(flawsOf(kernel, { ...ceiling, sharedBytes: 80 * 1024 }, largest).join()).toMatch(/81920 are stated/)
    const huge = { ...largest, sharedBytes: 100 * 1024 }
    expect(flawsOf(kernel, { ...ceiling, sharedBytes: 200 * 1024 }, huge).join()).toMatch(/too many/)
  })

  it('kernels without a ceiling, and kernels that nothing launches', () => {
    expect(flawsOf(kernel, undefined, largest).join()).toMatch(/no ceiling/)
    expect(flawsOf(kernel, ceiling, undefined).join()).toMatch(/no stage/)
  })
})
