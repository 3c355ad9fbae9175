import { DisposedError, HassError, InvalidArgumentError } from '@hass-engine/core'
import { afterAll, describe, expect, it } from 'vitest'
import { addonFunctions } from './addon/addon.js'
import { loadAddon } from './addon/load-addon.js'
import { type Device, openDevice } from './device.js'
import { InvalidInputError, InvalidProgramError, OutOfMemoryError, UnsupportedError } from './errors.js'
import { createGraph } from './graph/graph.js'
import { cpuIsas, testDevices } from './testing/devices.js'

/** Embedding, a linear and a cache write: every kind of tensor, and indices that may be wrong. */
async function createSample(device: Device) {
  const g = createGraph('sample')
  const rows = g.dimension('rows', 8)
  const tokens = g.input('tokens', 'U32', [rows])
  const slots = g.input('slots', 'U32', [rows])
  const table = g.weight('table', 'F32', [10, 32])
  const cache = g.state('cache', 'F32', [12, 32])
  const x = g.embedding(tokens, table)
  g.cacheWrite(cache, x, slots)
  g.output('y', g.linear(x, table))
  const data = Float32Array.from({ length: 320 }, (_, i) => i % 7)
  const bindings = {
    table: await device.upload({ name: 'table', format: 'F32', shape: [10, 32], data }),
    cache: device.allocate({ dtype: 'F32', shape: [12, 32] }),
  }
  return { g, bindings, data, program: device.compile(g, { bindings }) }
}

const words = (...values: number[]) => Uint32Array.from(values)

describe.each(testDevices)('device $kind $isa', (options) => {
  const device = openDevice(options)
  afterAll(() => device.dispose())

  it('runs, and gives copies of rows', async () => {
    const { program, bindings, data } = await createSample(device)
    const { y } = await program.run({ inputs: { tokens: words(3, 9), slots: words(5, 0) } })
    expect(y!.shape).toEqual([2, 10])
    expect(y!.readAll()).toHaveLength(20)
    expect([...y!.read(1)]).toEqual([...y!.readAll().subarray(10)])
    expect([...bindings.cache.read(new Float32Array(32), 5 * 32)]).toEqual([...data.subarray(96, 128)])
    expect(() => y!.read(2)).toThrow(InvalidArgumentError)
    program.dispose()
  })

  it('runs nothing for no rows', async () => {
    const { program } = await createSample(device)
    const { y } = await program.run({ inputs: { tokens: words(), slots: words() } })
    expect(y!.readAll()).toHaveLength(0)
  })

  it('queues runs in order; an earlier output is not mistaken for a later one', async () => {
    const { program, data } = await createSample(device)
    const runs = [1, 2, 3].map((token) => program.run({ inputs: { tokens: words(token), slots: words(token) } }))
    const [first, , last] = await Promise.all(runs)
    expect(() => first!.y!.read(0)).toThrow(/earlier run/)
    const dot = data.subarray(96, 128).reduce((sum, value) => sum + value * value, 0)
    expect(last!.y!.read(0)[3]).toBeCloseTo(dot, 3)
  })

  const wrongInputs: [string, unknown][] = [
    ['a missing input', { tokens: words(1) }],
    ['an unknown input', { tokens: words(1), slots: words(1), more: words(1) }],
    ['lengths that differ', { tokens: words(1, 2), slots: words(1) }],
    ['too many rows', { tokens: new Uint32Array(9), slots: new Uint32Array(9) }],
    ['another dtype', { tokens: Float32Array.of(1), slots: words(1) }],
    ['a plain array', { tokens: [1], slots: words(1) }],
    ['undefined', { tokens: undefined, slots: words(1) }],
  ]
  it.each(wrongInputs)('refuses %s', async (_, inputs) => {
    const { program } = await createSample(device)
    await expect(program.run({ inputs: inputs as Record<string, Uint32Array> })).rejects.toThrow(InvalidArgumentError)
  })

  it('refuses detached arrays', async () => {
    const { program } = await createSample(device)
    const tokens = words(1)
    structuredClone(tokens.buffer, { transfer: [tokens.buffer] })
    await expect(program.run({ inputs: { tokens, slots: words(1) } })).rejects.toThrow(InvalidArgumentError)
    await expect(program.run({ inputs: { tokens, slots: words() } })).rejects.toThrow(/detached/)
    const source = new Float32Array(64)
    structuredClone(source.buffer, { transfer: [source.buffer] })
    const upload = device.upload({ name: 'gone', format: 'F32', shape: [2, 32], data: source })
    await expect(upload).rejects.toThrow(InvalidArgumentError)
  })

  const refused: [string, number[], number[]][] = [
    ['a token beyond the vocabulary', [10], [0]],
    ['a token of all bits', [0xffffffff], [0]],
    ['a slot beyond the cache', [1], [12]],
    ['a slot twice', [1, 2], [3, 3]],
  ]
  it.each(refused)('refuses %s and changes nothing', async (_, tokens, slots) => {
    const { program, bindings } = await createSample(device)
    const before = bindings.cache.read(new Float32Array(12 * 32))
    const run = program.run({ inputs: { tokens: words(...tokens), slots: words(...slots) } })
    await expect(run).rejects.toThrow(InvalidInputError)
    expect(bindings.cache.read(new Float32Array(12 * 32))).toEqual(before)
    const { y } = await program.run({ inputs: { tokens: words(1), slots: words(1) } })
    expect(y!.readAll()).toHaveLength(10)
  })

  it('refuses bindings that are missing, of another shape, dtype, layout or device', async () => {
    const { g, bindings, data } = await createSample(device)
    const other = openDevice({ kind: 'reference' })
    const elsewhere = other.allocate({ dtype: 'F32', shape: [12, 32] })
    const plain = await device.upload({ name: 'table', format: 'F32', shape: [10, 32], data }, { layout: 'plain' })
    for (const wrong of [
      { table: bindings.table },
      { ...bindings, more: bindings.cache },
      { ...bindings, cache: device.allocate({ dtype: 'F32', shape: [12, 31] }) },
      { ...bindings, cache: device.allocate({ dtype: 'F16', shape: [12, 32] }) },
      { ...bindings, table: plain },
      { ...bindings, cache: elsewhere },
    ]) {
      expect(() => device.compile(g, { bindings: wrong as typeof bindings })).toThrow(InvalidProgramError)
    }
    other.dispose()
  })

  it('refuses sources that do not fit', async () => {
    const source = { name: 't', format: 'Q8_0' as const, shape: [2, 32], data: new Uint8Array(68) }
    await expect(device.upload(source)).resolves.toMatchObject({ dtype: 'Q8' })
    for (const wrong of [
      { ...source, data: new Uint8Array(67) },
      { ...source, shape: [2, 33] },
      { ...source, shape: [2, -32] },
      { ...source, shape: [] },
      { ...source, format: 'Q9_9' as 'Q8_0' },
      { ...source, data: async () => new Uint8Array(3) },
    ]) {
      await expect(device.upload(wrong)).rejects.toThrow(HassError)
    }
    await expect(device.upload([source, { ...source, shape: [1, 64] }])).rejects.toThrow(/stacked/)
    await expect(device.upload(source, { dtype: 'U32' })).rejects.toThrow(UnsupportedError)
  })

  it('rejects with the reason of its signal, before and during a run', async () => {
    const { program } = await createSample(device)
    const inputs = { tokens: words(1), slots: words(1) }
    const reason = new Error('enough')
    await expect(program.run({ inputs, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const runs = [1, 2, 3, 4].map(() => program.run({ inputs }))
    const aborted = program.run({ inputs, signal: controller.signal })
    controller.abort(reason)
    await Promise.all(runs)
    await expect(aborted).rejects.toBe(reason)
    controller.abort()
    await expect(program.run({ inputs })).resolves.toHaveProperty('y')
  })

  it('knows what has been disposed, and disposes twice without harm', async () => {
    await using own = openDevice(options)
    const { g, bindings, program } = await createSample(own)
    const inputs = { tokens: words(1), slots: words(1) }
    // A program keeps what it needs.
    bindings.cache.dispose()
    bindings.cache.dispose()
    const { y } = await program.run({ inputs })
    expect(() => bindings.cache.read(new Float32Array(1))).toThrow(DisposedError)
    expect(() => own.compile(g, { bindings })).toThrow(DisposedError)
    await program[Symbol.asyncDispose]()
    program.dispose()
    await expect(program.run({ inputs })).rejects.toThrow(DisposedError)
    expect(() => y!.read(0)).toThrow(DisposedError)
    own.dispose()
    expect(() => own.facts).toThrow(DisposedError)
    expect(() => own.allocate({ dtype: 'F32', shape: [1] })).toThrow(DisposedError)
    await expect(own.measure()).rejects.toThrow(DisposedError)
  })

  it('gives back the memory of what is disposed', async () => {
    const own = openDevice(options)
    const before = own.facts.memoryBytes
    const tensors = [1, 2, 3].map(() => own.allocate({ dtype: 'F32', shape: [1000, 1000] }))
    expect(own.facts.memoryBytes - before).toBeGreaterThanOrEqual(12e6)
    for (const tensor of tensors) tensor.dispose()
    expect(own.facts.memoryBytes).toBe(before)
    own.dispose()
  })

  it('rejects the runs of a device that is disposed', async () => {
    const own = openDevice(options)
    const { program } = await createSample(own)
    const runs = Array.from({ length: 20 }, () => program.run({ inputs: { tokens: words(1), slots: words(1) } }))
    own.dispose()
    const results = await Promise.allSettled(runs)
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DisposedError)
    }
    // How many were done before is a race; teardown.test.ts disposes under runs that are long.
    await expect(program.run({ inputs: { tokens: words(1), slots: words(1) } })).rejects.toThrow(DisposedError)
  })

  it('refuses memory that nobody has', () => {
    expect(() => device.allocate({ dtype: 'F32', shape: [2 ** 31 - 1, 2 ** 20] })).toThrow(HassError)
  })
})

describe('openDevice', () => {
  it('refuses what it does not know', () => {
    expect(() => openDevice({ kind: 'gpu' as 'cpu' })).toThrow(InvalidArgumentError)
    expect(() => openDevice({ threads: 0 })).toThrow(InvalidArgumentError)
    expect(() => openDevice({ thread: 1 } as object)).toThrow(/no option "thread"/)
  })

  it.runIf(cpuIsas.length > 0)('refuses an instruction set that is not there', () => {
    expect(() => openDevice({ kind: 'cpu', isa: 'mmx' })).toThrow(UnsupportedError)
  })
})

describe.runIf(cpuIsas.length > 0)('the addon', () => {
  it('has the functions of its TypeScript face, and no others', () => {
    expect(Object.keys(loadAddon().addon).sort()).toEqual([...addonFunctions, 'version'].sort())
  })

  it('survives the failure of every allocation', async () => {
    const { addon } = loadAddon()
    let isDone = false
    for (let countdown = 1; !isDone; countdown++) {
      expect(countdown).toBeLessThan(500)
      addon.failAllocation(countdown)
      let device: Device | undefined
      try {
        device = openDevice({ kind: 'cpu', threads: 2 })
        const { program } = await createSample(device)
        await program.run({ inputs: { tokens: words(1), slots: words(1) } })
        isDone = true
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError)
      } finally {
        addon.failAllocation(0)
        device?.dispose()
      }
      await using after = openDevice({ kind: 'cpu', threads: 1 })
      const { program } = await createSample(after)
      await program.run({ inputs: { tokens: words(1), slots: words(1) } })
    }
  })
})
