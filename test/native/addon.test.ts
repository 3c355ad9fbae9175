import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addonFunctions, addonVersion } from '../../packages/kernels/src/addon/addon.js'
import { Opcode } from '../../packages/kernels/src/program.js'
import { addon, codeOf, doubling, input, output, rejectionOf, slow, weight, words } from './addon-support.js'

let device: number
beforeEach(() => {
  device = addon.createDevice('auto', 2)
})
afterEach(() => {
  addon.dispose(device)
})

function createDoubling(maxRows = 8, columns = 5) {
  const { words: code, bindings } = doubling(maxRows, columns)
  const program = addon.createProgram(device, code, bindings)
  return { program, parameters: new Uint8Array(addon.programFacts(program).parameterBytes) }
}

describe('the export list', () => {
  it('is what TypeScript expects', () => {
    expect(addon.version).toBe(addonVersion)
    expect(Object.keys(addon).sort()).toEqual(['version', ...addonFunctions].sort())
  })

  it('names instruction sets that devices can be made of', () => {
    const names = addon.isaNames()
    expect(names).toContain('portable')
    for (const name of names) {
      const other = addon.createDevice(name, 1)
      expect(addon.deviceFacts(other)).toEqual({ isa: name, threads: 1, memoryBytes: 0, busyMs: 0 })
      addon.dispose(other)
    }
    expect(addon.deviceFacts(device).isa).toBe(names.at(-1))
    expect(addon.processorFacts().threads).toBeGreaterThanOrEqual(1)
  })
})

describe('buffers', () => {
  it('begin as zeros, keep what is written, and are counted', () => {
    const buffer = addon.createBuffer(device, 100)
    expect(addon.deviceFacts(device).memoryBytes).toBe(100)
    expect(addon.bufferFacts(buffer)).toEqual({ bytes: 100, dtype: -1, rows: 0, columns: 0 })
    addon.writeBuffer(buffer, 90, Uint8Array.of(1, 2, 3))
    const bytes = new Uint8Array(12)
    addon.readBuffer(buffer, 88, bytes)
    expect([...bytes]).toEqual([0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0])
    addon.dispose(buffer)
    addon.dispose(buffer)
    expect(addon.deviceFacts(device).memoryBytes).toBe(0)
    expect(codeOf(() => addon.bufferFacts(buffer))).toBe('HASS_ERR_DISPOSED')
  })

  it('take views of any alignment and kind', () => {
    const buffer = addon.createBuffer(device, 8)
    const shared = new Uint8Array(new SharedArrayBuffer(16), 3, 8).fill(7)
    addon.writeBuffer(buffer, 0, shared)
    const view = new DataView(new ArrayBuffer(9), 1)
    addon.readBuffer(buffer, 0, view)
    expect(view.getUint8(7)).toBe(7)
  })

  it('refuse ranges past their ends, detached memory and what is no view', () => {
    const buffer = addon.createBuffer(device, 8)
    const detached = new Uint8Array(8)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    const attempts: [() => unknown, string][] = [
      [() => addon.writeBuffer(buffer, 1, new Uint8Array(8)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.readBuffer(buffer, 9, new Uint8Array(0)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, -1, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, 0.5, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, Number.NaN, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, 0, detached), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, 0, [1] as never), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer, 0, new ArrayBuffer(8) as never), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(device, 0, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(buffer + 1, 0, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createBuffer(device, -1), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createBuffer(device, 2 ** 41), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createWeight(device, 16, 8, 33), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createWeight(device, 3, 8, 32), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createWeight(device, 0, 2 ** 31 - 1, 2 ** 31 - 1), 'HASS_ERR_TOO_LARGE'],
    ]
    for (const [attempt, code] of attempts) expect(codeOf(attempt), String(attempt)).toBe(code)
  })

  it('answer an allocation that cannot be with a typed error', () => {
    let code = 'none'
    const kept: number[] = []
    // The system grants address space until there is none.
    for (let i = 0; i < 200 && code === 'none'; i++) {
      code = codeOf(() => kept.push(addon.createBuffer(device, 2 ** 40)))
    }
    expect(code).toBe('HASS_ERR_OUT_OF_MEMORY')
    for (const buffer of kept) addon.dispose(buffer)
    expect(addon.createBuffer(device, 64)).toBeGreaterThan(0)
  })
})

describe('weights', () => {
  it('are written in row ranges and multiplied', async () => {
    const [rows, columns] = [12, 32]
    const values = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 11) - 5)
    const handle = addon.createWeight(device, 0, rows, columns)
    expect(addon.bufferFacts(handle)).toMatchObject({ dtype: 0, rows, columns })
    for (let row = 0; row < rows; row += 5) {
      const count = Math.min(5, rows - row)
      await addon.writeWeight(handle, 'F32', row, count, values.subarray(row * columns, (row + count) * columns))
    }
    const { words: code, bindings } = words(
      [4],
      [input([-1, columns]), weight([rows, columns], 'F32', handle), output([-1, rows])],
      [{ opcode: Opcode.LINEAR, operands: [2, 0, 1, -1, -1], attributes: [0] }],
    )
    const program = addon.createProgram(device, code, bindings)
    const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
    const x = new Float32Array(parameters.buffer)
    for (let i = 0; i < 2 * columns; i++) x[i] = (i % 7) - 3
    await addon.runProgram(program, Int32Array.of(2), parameters, 1)
    const y = new Float32Array(2 * rows)
    addon.readOutput(program, 2, 0, y)
    for (let row = 0; row < 2; row++) {
      for (let o = 0; o < rows; o++) {
        let sum = 0
        for (let i = 0; i < columns; i++) sum += x[row * columns + i]! * values[o * columns + i]!
        expect(y[row * rows + o]).toBe(sum)
      }
    }
  })

  it('refuse wrong lengths, rows and formats', async () => {
    const handle = addon.createWeight(device, 16, 16, 32)
    const attempts: [() => unknown, string][] = [
      [() => addon.writeWeight(handle, 'Q4_0', -1, 1, new Uint8Array(18)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeWeight(handle, 'Q7_7', 0, 1, new Uint8Array(18)), 'HASS_ERR_UNSUPPORTED'],
      [() => addon.writeWeight(handle, 'x'.repeat(1000), 0, 1, new Uint8Array(18)), 'HASS_ERR_UNSUPPORTED'],
      [() => addon.readBuffer(handle, 0, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.writeBuffer(handle, 0, new Uint8Array(1)), 'HASS_ERR_INVALID_ARGUMENT'],
    ]
    for (const [attempt, code] of attempts) expect(codeOf(attempt), String(attempt)).toBe(code)
    const writes: [Promise<unknown>, string][] = [
      [addon.writeWeight(handle, 'Q4_0', 0, 16, new Uint8Array(16 * 18 - 1)), 'HASS_ERR_INVALID_ARGUMENT'],
      [addon.writeWeight(handle, 'Q4_0', 8, 9, new Uint8Array(9 * 18)), 'HASS_ERR_INVALID_ARGUMENT'],
      [addon.writeWeight(handle, 'Q8_0', 0, 1, new Uint8Array(34)), 'HASS_ERR_UNSUPPORTED'],
      [addon.writeWeight(handle, 'Q4_0', 16, 0, new Uint8Array(0)), 'none'],
    ]
    for (const [write, code] of writes) expect(await rejectionOf(write)).toBe(code)
    const plain = addon.createBuffer(device, 8)
    expect(await rejectionOf(addon.writeWeight(plain, 'F32', 0, 1, new Float32Array(1)))).toBe(
      'HASS_ERR_INVALID_ARGUMENT',
    )
  })

  it('are copied before the call returns, packed behind the runs, and given up with their device', async () => {
    const own = addon.createDevice('auto', 2)
    const [rows, columns] = [1000, 64]
    const handle = addon.createWeight(own, 0, rows, columns)
    const values = new Float32Array(rows * columns).fill(1)
    const writing = addon.writeWeight(handle, 'F32', 0, rows, values)
    values.fill(Number.NaN)
    const { words: code, bindings } = words(
      [1],
      [input([-1, columns]), weight([rows, columns], 'F32', handle), output([-1, rows])],
      [{ opcode: Opcode.LINEAR, operands: [2, 0, 1, -1, -1], attributes: [0] }],
    )
    const program = addon.createProgram(own, code, bindings)
    const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
    new Float32Array(parameters.buffer).fill(1)
    await addon.runProgram(program, Int32Array.of(1), parameters, 1)
    await writing
    const y = new Float32Array(rows)
    addon.readOutput(program, 2, 0, y)
    expect(y.every((sum) => sum === columns)).toBe(true)
    expect(addon.deviceFacts(own).busyMs).toBeGreaterThan(0)

    const writes = [1, 2, 3].map(() => addon.writeWeight(handle, 'F32', 0, rows, values))
    addon.dispose(own)
    for (const code of await Promise.all(writes.map(rejectionOf))) expect(['none', 'HASS_ERR_DISPOSED']).toContain(code)
  })
})

describe('programs', () => {
  it('run with dimensions up to their maxima and give rows back', async () => {
    const { program, parameters } = createDoubling()
    const facts = addon.programFacts(program)
    expect([...facts.inputOffsets]).toEqual([0, -1])
    const x = new Float32Array(parameters.buffer)
    for (const rows of [8, 3, 0, 1]) {
      for (let i = 0; i < x.length; i++) x[i] = i + rows
      const run = addon.runProgram(program, Int32Array.of(rows), parameters, 1)
      // Copied before the call has returned.
      x.fill(Number.NaN)
      await run
      const y = new Float32Array(rows * 5)
      addon.readOutput(program, 1, 0, y)
      expect([...y]).toEqual(Array.from(y, (_, i) => 2 * (i + rows)))
      if (rows > 1) {
        const row = new Float32Array(5)
        addon.readOutput(program, 1, 5, row)
        expect([...row]).toEqual([...y.subarray(5, 10)])
      }
      expect(codeOf(() => addon.readOutput(program, 1, 1, y))).toBe('HASS_ERR_INVALID_ARGUMENT')
    }
  })

  it('refuse what is no program, and bindings that do not fit', () => {
    const { words: code, bindings } = doubling(8, 5)
    const attempts: [() => unknown, string][] = [
      [() => addon.createProgram(device, new Int32Array(0), bindings), 'HASS_ERR_INVALID_PROGRAM'],
      [() => addon.createProgram(device, code.subarray(1), bindings), 'HASS_ERR_INVALID_PROGRAM'],
      [() => addon.createProgram(device, code.slice(0, -1), bindings), 'HASS_ERR_INVALID_PROGRAM'],
      [() => addon.createProgram(device, code, new Float64Array(1)), 'HASS_ERR_INVALID_PROGRAM'],
      [() => addon.createProgram(device, code, Float64Array.of(0, 1e9)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createProgram(device, code, Float64Array.of(0, device)), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createProgram(device, new Uint32Array(code) as never, bindings), 'HASS_ERR_INVALID_ARGUMENT'],
      [() => addon.createProgram(device, [...code] as never, bindings), 'HASS_ERR_INVALID_ARGUMENT'],
    ]
    for (const [attempt, expected] of attempts) expect(codeOf(attempt), String(attempt)).toBe(expected)
  })

  it('refuse wrong dimensions, parameters and ids, and keep working', async () => {
    const { program, parameters } = createDoubling()
    const detached = new Uint8Array(parameters.length)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    const one = Int32Array.of(1)
    const attempts = [
      () => addon.runProgram(program, Int32Array.of(9), parameters, 1),
      () => addon.runProgram(program, Int32Array.of(-1), parameters, 1),
      () => addon.runProgram(program, Int32Array.of(1, 1), parameters, 1),
      () => addon.runProgram(program, [1] as never, parameters, 1),
      () => addon.runProgram(program, one, parameters.subarray(1), 1),
      () => addon.runProgram(program, one, detached, 1),
      () => addon.runProgram(program, one, new Float32Array(parameters.length) as never, 1),
      () => addon.runProgram(program, one, parameters, 0),
      () => addon.runProgram(program, one, parameters, 1.5),
      () => addon.runProgram(device, one, parameters, 1),
      () => addon.readOutput(program, 0, 0, new Float32Array(1)),
      () => addon.readOutput(program, 1, 0, new Float32Array(1)),
    ]
    for (const attempt of attempts) expect(codeOf(attempt), String(attempt)).toBe('HASS_ERR_INVALID_ARGUMENT')
    await addon.runProgram(program, one, parameters, 1)
    addon.readOutput(program, 1, 0, new Float32Array(5))
  })

  it('report refused inputs by operation, tensor, index and value', async () => {
    const table = addon.createWeight(device, 0, 10, 4)
    const { words: code, bindings } = words(
      [3],
      [input([-1], 'U32'), weight([10, 4], 'F32', table), output([-1, 4])],
      [{ opcode: Opcode.EMBEDDING, operands: [2, 0, 1], attributes: [] }],
    )
    const program = addon.createProgram(device, code, bindings)
    const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
    new Uint32Array(parameters.buffer).set([1, 10, 9])
    await expect(addon.runProgram(program, Int32Array.of(3), parameters, 1)).rejects.toMatchObject({
      code: 'HASS_ERR_INVALID_INPUT',
      details: { op: 0, tensor: 0, index: 1, value: 10, limit: 10 },
    })
    await addon.runProgram(program, Int32Array.of(1), parameters, 1)
  })
})

describe('runs', () => {
  it('are executed in the order of the calls, and their outputs wait for the last', async () => {
    const { program, parameters } = createDoubling()
    const x = new Float32Array(parameters.buffer)
    const order: number[] = []
    const runs = [1, 2, 3, 4, 5].map((run) => {
      x.fill(run)
      return addon.runProgram(program, Int32Array.of(1), parameters, run).then(() => order.push(run))
    })
    expect(codeOf(() => addon.readOutput(program, 1, 0, new Float32Array(5)))).toBe('HASS_ERR_BUSY')
    await Promise.all(runs)
    expect(order).toEqual([1, 2, 3, 4, 5])
    const y = new Float32Array(5)
    addon.readOutput(program, 1, 0, y)
    expect(y[0]).toBe(10)
  })

  it('can be cancelled while queued and while running, alone', async () => {
    const { program, parameters } = slow(device, 40)
    const first = addon.runProgram(program, Int32Array.of(64), parameters, 1)
    const second = addon.runProgram(program, Int32Array.of(64), parameters, 2)
    const third = addon.runProgram(program, Int32Array.of(1), parameters, 3)
    addon.cancelRun(device, 2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    addon.cancelRun(device, 1)
    addon.cancelRun(device, 1)
    addon.cancelRun(device, 99)
    expect(await Promise.all([first, second, third].map(rejectionOf))).toEqual([
      'HASS_ERR_CANCELLED',
      'HASS_ERR_CANCELLED',
      'none',
    ])
  })

  it('leave the event loop alone', async () => {
    const { program, parameters } = slow(device, 10)
    let isRunning = true
    const run = addon.runProgram(program, Int32Array.of(64), parameters, 1).then(() => {
      isRunning = false
    })
    let turns = 0
    while (isRunning) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }
    await run
    expect(turns).toBeGreaterThan(100)
  })

  it('keep their program and buffers alive, and their device only as long as it is wanted', async () => {
    const { program, parameters, matrix } = slow(device, 3)
    const before = addon.deviceFacts(device).memoryBytes
    const run = addon.runProgram(program, Int32Array.of(16), parameters, 1)
    expect(codeOf(() => addon.writeWeight(matrix, 'F32', 0, 0, new Float32Array(0)))).toBe('HASS_ERR_BUSY')
    addon.dispose(matrix)
    addon.dispose(program)
    expect(addon.deviceFacts(device).memoryBytes).toBe(before)
    await run
    await new Promise((resolve) => setImmediate(resolve))
    expect(addon.deviceFacts(device).memoryBytes).toBe(0)

    const other = slow(device, 40)
    const runs = [1, 2].map((id) => addon.runProgram(other.program, Int32Array.of(64), other.parameters, id))
    addon.dispose(device)
    expect(codeOf(() => addon.createBuffer(device, 1))).toBe('HASS_ERR_DISPOSED')
    expect(codeOf(() => addon.bufferFacts(other.matrix))).toBe('HASS_ERR_DISPOSED')
    expect(await Promise.all(runs.map(rejectionOf))).toEqual(['HASS_ERR_DISPOSED', 'HASS_ERR_DISPOSED'])
    addon.dispose(other.program)
    addon.dispose(other.matrix)
  })
})

describe('measuring', () => {
  it('gives rates of this machine', async () => {
    const rates = await addon.measureDevice(device)
    for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(0)
    expect(rates.readGBs).toBeLessThan(10_000)
  })
})

describe('failing allocations', () => {
  it('each give a typed error, and the next request works', async () => {
    const healthy = createDoubling()
    let failures = 0
    for (let n = 1; ; n++) {
      addon.failAllocation(n)
      const code = await attemptAll()
      addon.failAllocation(0)
      if (code === 'none') break
      expect(code).toBe('HASS_ERR_OUT_OF_MEMORY')
      failures++
      await addon.runProgram(healthy.program, Int32Array.of(1), healthy.parameters, 1)
    }
    expect(failures).toBeGreaterThan(20)
    expect(failures).toBeLessThan(1000)

    async function attemptAll(): Promise<string> {
      let other = 0
      try {
        other = addon.createDevice('auto', 2)
        const buffer = addon.createBuffer(other, 1000)
        addon.writeBuffer(buffer, 0, new Uint8Array(1000))
        const table = addon.createWeight(other, 0, 10, 4)
        const { words: code, bindings } = words(
          [3],
          [input([-1], 'U32'), weight([10, 4], 'F32', table), output([-1, 4])],
          [{ opcode: Opcode.EMBEDDING, operands: [2, 0, 1], attributes: [] }],
        )
        const program = addon.createProgram(other, code, bindings)
        const parameters = new Uint8Array(addon.programFacts(program).parameterBytes)
        await addon.runProgram(program, Int32Array.of(3), parameters, 1)
        addon.readOutput(program, 2, 0, new Float32Array(12))
        return 'none'
      } catch (error) {
        return (error as { code: string }).code
      } finally {
        addon.failAllocation(0)
        if (other !== 0) addon.dispose(other)
      }
    }
  })
})
