import { targetModelCases } from '@hass-engine/core/test'
import { createLogitsRows, createNoiseField } from '@hass-engine/sampler'
import { openModel } from '@hass-engine/weights'
import { afterAll, describe, expect, it } from 'vitest'
import { goldenPath } from '../../../test/support/golden.js'
import { createTargetModel, type TargetModelOptions } from './create-target-model.js'
import type { DeviceTargetModel } from './target-model.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { goldenModelOf, goldenPackedModel } from './testing/golden-names.js'
import { appendTo, chainParents, prefill, range } from './testing/run-steps.js'

const tinyName = goldenModelOf('llama')
const ggufName = goldenPackedModel()

function createRandom(seed: number): () => number {
  const noise = createNoiseField(seed)
  let index = 0
  return () => noise.uniform(0, index++)
}

describe.each(deviceKinds)('target model on %s', (kind) => {
  const device = useDevice(kind)
  const models: DeviceTargetModel[] = []
  afterAll(() => {
    for (const model of models) model.dispose()
  })
  const create = async (options: Partial<TargetModelOptions> = {}, path = goldenPath('models', tinyName)) => {
    const model = await createTargetModel({
      device: device(),
      model: await openModel(path),
      cacheTokens: 256,
      ...options,
    })
    models.push(model)
    return model
  }

  describe.each([
    ['float weights', {}, goldenPath('models', tinyName)],
    ['packed weights', {}, goldenPath('gguf', ggufName)],
    ['passes of three rows', { maxRows: 3 }, goldenPath('models', tinyName)],
  ] as const)('with %s', (_, options, path) => {
    for (const { name, run } of targetModelCases(() => create(options, path))) it(name, run)
  })

  it('gives the bits of one pass whatever the passes are cut into', async () => {
    const random = createRandom(5)
    const tree = { tokens: new Uint32Array(40), parents: new Int32Array(40) }
    for (let row = 0; row < 40; row++) {
      tree.tokens[row] = Math.floor(random() * 100)
      tree.parents[row] = Math.max(-1, row - 1 - Math.floor(random() * 4))
    }
    const rowsOf = async (maxRows: number) => {
      const model = await create({ maxRows })
      const { sequence } = await prefill(model, [1, 2, 3, 4, 5, 6, 7])
      const other = await prefill(model, [9, 8])
      const outputs = await model.forward([
        { sequence, ...tree },
        { sequence: other.sequence, tokens: Uint32Array.of(4, 5), parents: chainParents(2), logits: 'last' },
      ])
      const rows = []
      for (const row of range(40)) rows.push(await outputs[0]!.logits.read(row), await outputs[0]!.features.read(row))
      rows.push(await outputs[1]!.logits.read(1))
      expect(() => outputs[1]!.logits.read(0)).toThrow(/not asked for/)
      sequence.dispose()
      other.sequence.dispose()
      return rows
    }
    const whole = await rowsOf(64)
    for (const maxRows of [1, 2, 7]) expect(await rowsOf(maxRows), `${maxRows} rows`).toEqual(whole)
  })

  it('keeps outputs until the next step of their sequence, whatever runs in between', async () => {
    const model = await create()
    const a = await prefill(model, [1, 2, 3])
    const [logits, feature] = [await a.output.logits.read(2), await a.output.features.read(1)]
    const b = await prefill(model, [7, 7, 7, 7])
    await appendTo(model, b.sequence, [3])
    expect(await a.output.logits.read(2)).toEqual(logits)
    expect(await a.output.features.read(1)).toEqual(feature)
    expect(a.output.logits.argMax(2)).toBe(logits.indexOf(Math.max(...logits)))
    expect(() => b.output.logits.read(0)).toThrow(/earlier step/)
    await appendTo(model, a.sequence, [4])
    expect(() => a.output.logits.read(2)).toThrow(/earlier step/)
    expect(() => a.output.features.read(0)).toThrow(/earlier step/)
    a.sequence.dispose()
    b.sequence.dispose()
  })

  it('gives passes that are asked for at once the outputs that they have alone', async () => {
    const model = await create()
    const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    const alone = []
    for (const prompt of prompts) alone.push(await (await prefill(model, prompt)).output.logits.read(prompt.length - 1))
    const together = await Promise.all(prompts.map((prompt) => prefill(model, prompt)))
    for (const [i, { output }] of together.entries()) {
      expect(await output.logits.read(prompts[i]!.length - 1)).toEqual(alone[i])
    }
  })

  it('chooses with noise as the sampler does with the row', async () => {
    const model = await create()
    const { output, sequence } = await prefill(model, [1, 2, 3, 4, 5])
    for (const row of range(5)) {
      const values = await output.logits.read(row)
      for (const temperature of [0.3, 0.7, 1, 1.5]) {
        const choice = { temperature, seed: 2n ** 63n + 17n, position: row + 1 }
        const expected = createLogitsRows(values, model.vocabSize).gumbelArgMax(0, choice)
        expect(await output.logits.gumbelArgMax(row, choice)).toBe(expected)
      }
    }
    sequence.dispose()
  })

  it('chooses in the pass what it was told it would be asked, and anything else when it is asked', async () => {
    const model = await create()
    const { sequence } = await prefill(model, [1, 2, 3])
    const plain = model.createSequence()
    const tree = { tokens: Uint32Array.of(4, 5, 6, 7), parents: Int32Array.of(-1, 0, 0, 2) }
    const told = { temperature: 0.9, seed: 2n ** 62n + 3n }
    const outputs = await model.forward([
      { sequence, ...tree, choice: told },
      { sequence: plain, ...tree, logits: 'last' },
    ])
    const positions = [4, 5, 5, 6]
    for (const [row, position] of positions.entries()) {
      const { logits } = outputs[0]!
      const values = createLogitsRows(await logits.read(row), model.vocabSize)
      const choices = [
        { ...told, position },
        { ...told, position: position + 1 },
        { ...told, seed: 3n, position },
        { ...told, temperature: 0.8, position },
      ]
      expect(logits.gumbelArgMax(row, choices[0]!), 'no promise of what is known').toBe(
        values.gumbelArgMax(0, choices[0]!),
      )
      for (const choice of choices) {
        expect(await logits.gumbelArgMax(row, choice)).toBe(values.gumbelArgMax(0, choice))
      }
      expect(await logits.argMax(row)).toBe(values.argMax(0))
    }
    const last = createLogitsRows(await outputs[1]!.logits.read(3), model.vocabSize)
    expect(await outputs[1]!.logits.argMax(3)).toBe(last.argMax(0))
    expect(() => outputs[1]!.logits.argMax(0)).toThrow(/not asked for/)
    sequence.dispose()
    plain.dispose()
  })

  it('shares a prefix between sequences that go on differently', async () => {
    const model = await create()
    const { sequence } = await prefill(model, [1, 2, 3, 4, 5, 6])
    const free = model.cache.free
    const forks = [sequence.fork(), sequence.fork({ length: 4 })]
    expect(model.cache.free).toBe(free)
    sequence.dispose()
    expect(model.cache.free).toBe(free)
    const outputs = await model.forward(
      forks.map((fork) => ({ sequence: fork, tokens: Uint32Array.of(9, 8), parents: chainParents(2) })),
    )
    for (const [i, prefix] of [
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4],
    ].entries()) {
      const alone = await prefill(model, [...prefix, 9, 8])
      expect(await outputs[i]!.logits.read(1)).toEqual(await alone.output.logits.read(prefix.length + 1))
      alone.sequence.dispose()
      forks[i]!.dispose()
    }
    expect(model.cache.free).toBe(model.cache.capacity)
    expect(() => sequence.fork()).toThrow(/disposed/)
  })
})

describe('target model', () => {
  const device = useDevice('cpu')
  const create = async (options: Partial<TargetModelOptions> = {}) =>
    createTargetModel({ device: device(), model: await openModel(goldenPath('models', tinyName)), ...options })

  it('refuses rows that do not fit the cache or the context, and loses nothing', async () => {
    const model = await create({ cacheTokens: 10 })
    expect(model.maxContext).toBe(10)
    const a = await prefill(model, [1, 2, 3, 4, 5, 6])
    const before = await a.output.logits.read(5)
    const b = model.createSequence()
    const steps = [
      { sequence: a.sequence, tokens: Uint32Array.of(1, 2), parents: chainParents(2) },
      { sequence: b, tokens: Uint32Array.of(1, 2, 3), parents: chainParents(3) },
    ]
    await expect(model.forward(steps)).rejects.toMatchObject({
      code: 'HASS_ERR_CACHE_FULL',
      details: { wanted: 3, free: 2, capacity: 10 },
    })
    expect(model.cache.free).toBe(4)
    const long = { sequence: a.sequence, tokens: new Uint32Array(5), parents: chainParents(5) }
    await expect(model.forward([long])).rejects.toMatchObject({ code: 'HASS_ERR_CONTEXT_LENGTH' })
    a.sequence.commit([])
    expect(a.sequence.length).toBe(6)
    b.dispose()
    a.sequence.dispose()
    expect(model.cache.free).toBe(10)
    const again = await prefill(model, [1, 2, 3, 4, 5, 6])
    expect(await again.output.logits.read(5)).toEqual(before)
    model.dispose()
  })

  it('leaves the slots as before after many rejected drafts and aborted passes', async () => {
    const model = await create({ cacheTokens: 64 })
    const { sequence } = await prefill(model, [1, 2, 3])
    const free = model.cache.free
    const random = createRandom(11)
    for (let cycle = 0; cycle < 300; cycle++) {
      const rows = 1 + Math.floor(random() * 8)
      const parents = Int32Array.from({ length: rows }, (_, row) => Math.floor(random() * (row + 1)) - 1)
      const controller = new AbortController()
      const pass = model.forward([{ sequence, tokens: new Uint32Array(rows).fill(cycle % 50), parents }], {
        signal: controller.signal,
      })
      if (cycle % 3 === 0) {
        if (cycle % 2 === 0) await Promise.resolve()
        controller.abort(new Error('enough'))
        await pass.catch((error: Error) => expect(error.message).toBe('enough'))
      } else {
        await pass
      }
      sequence.commit([])
      expect(model.cache.free).toBe(free)
    }
    expect(sequence.length).toBe(3)
    sequence.dispose()
    model.dispose()
  })

  it('refuses misuse with typed errors', async () => {
    const model = await create({ cacheTokens: 32 })
    const { sequence } = await prefill(model, [1, 2])
    const step = { sequence, tokens: Uint32Array.of(1), parents: Int32Array.of(-1) }
    const refusals: readonly [Parameters<DeviceTargetModel['forward']>[0], RegExp][] = [
      [[{ ...step, tokens: Uint32Array.of(model.vocabSize) }], /token/],
      [[{ ...step, parents: Int32Array.of(0) }], /parent/],
      [[{ ...step, parents: Int32Array.of(-1, 0) }], /1 tokens and 2 parents/],
      [[step, step], /same sequence/],
      [[{ ...step, logits: 'some' as 'all' }], /logits/],
      [[{ ...step, sequence: (await create({ cacheTokens: 8 })).createSequence() }], /another model/],
    ]
    for (const [steps, message] of refusals) {
      await expect(model.forward(steps)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT', message })
    }
    const running = model.forward([step])
    await Promise.resolve()
    expect(() => sequence.commit([0])).toThrow(/while a pass/)
    const [output] = await running
    expect(() => output!.logits.read(1)).toThrow(/row/)
    expect(() => sequence.commit([1])).toThrow(/the step has 1 rows/)
    sequence.commit([0])
    expect(() => sequence.fork({ length: 9 })).toThrow(/length/)
    sequence.dispose()
    await expect(model.forward([step])).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    expect(() => sequence.commit([])).toThrow(/disposed/)
    await expect(create({ cacheToken: 3 } as never)).rejects.toThrow(/no option "cacheToken"/)
    await expect(create({ maxRows: 0 })).rejects.toThrow(/maxRows/)
    model.dispose()
    model.dispose()
    expect(() => model.createSequence()).toThrow(/disposed/)
    await expect(model.forward([])).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
  })

  it('can be disposed of, and its sequences, while passes are running', async () => {
    const model = await create({ cacheTokens: 64, maxRows: 4 })
    const sequence = model.createSequence()
    const pass = model.forward([{ sequence, tokens: new Uint32Array(30), parents: chainParents(30) }])
    await Promise.resolve()
    sequence.dispose()
    await pass
    expect(model.cache.free).toBe(64)
    const other = model.createSequence()
    const second = model.forward([{ sequence: other, tokens: new Uint32Array(30), parents: chainParents(30) }])
    await Promise.resolve()
    model.dispose()
    await expect(second).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
  })

  it('ends loading with the reason of an aborted signal', async () => {
    const reason = new Error('never mind')
    await expect(create({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
