import { openDevice } from '@hass-engine/kernels'
import { afterAll, describe, expect, it } from 'vitest'
import { createHeadTrainer } from './create-head-trainer.js'
import type { HeadTrainer, TrainerState } from './head-trainer.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { smallBatch, smallHead } from './testing/small-head.js'

/** Everything of a state that must be the same for two runs to go on alike. */
function bitsOf(state: TrainerState) {
  const bits = (tensors: ReadonlyMap<string, Float32Array>) =>
    Object.fromEntries([...tensors].map(([name, data]) => [name, Buffer.from(data.buffer).toString('hex')]))
  return [state.step, bits(state.parameters), bits(state.firstMoments), bits(state.secondMoments)]
}

async function train(trainer: HeadTrainer, updates: readonly number[]) {
  for (const seed of updates) {
    await trainer.accumulate(smallBatch(seed))
    await trainer.accumulate(smallBatch(seed + 100, { lengths: [7, 20, 3] }))
    await trainer.update({ learningRate: 1e-3 })
  }
}

describe.each(deviceKinds)('a head trainer on %s', (kind) => {
  const device = useDevice(kind)
  const create = (change: object = {}) => createHeadTrainer({ device: device(), ...smallHead(), ...change })

  it('brings the losses down', async () => {
    await using trainer = await create()
    const batch = smallBatch()
    const before = await trainer.accumulate(batch)
    for (let i = 0; i < 30; i++) {
      const facts = await trainer.update({ learningRate: 3e-3 })
      expect(facts.gradientNorm).toBeGreaterThan(0)
      await trainer.accumulate(batch)
    }
    await trainer.update({ learningRate: 0 })
    const after = await trainer.accumulate(batch)
    for (const [i, { total }] of after.entries()) expect(total).toBeLessThan(0.9 * before[i]!.total)
  })

  it('adds up the gradients of several batches, and forgets them with an update', async () => {
    await using trainer = await create()
    const gradients = async () => structuredClone(await trainer.readGradients()) as Map<string, Float32Array>
    const [a, b] = [smallBatch(3), smallBatch(4)]
    await trainer.accumulate(a)
    const ofA = await gradients()
    await trainer.accumulate(b)
    const ofBoth = await gradients()
    await trainer.writeState(await trainer.readState())
    await trainer.accumulate(b)
    for (const [name, ofB] of await gradients()) {
      for (const [i, value] of ofB.entries()) expect(ofBoth.get(name)![i]).toBeCloseTo(ofA.get(name)![i]! + value, 6)
    }
    await trainer.update({ learningRate: 0 })
    for (const data of (await gradients()).values()) expect(data.every((value) => value === 0)).toBe(true)
  })

  it('gives the same bits whatever the padding', async () => {
    await using trainer = await create()
    const gradients = async (batch: ReturnType<typeof smallBatch>) => {
      await trainer.writeState(await trainer.readState())
      const losses = await trainer.accumulate(batch)
      return [losses, await trainer.readGradients()]
    }
    const padded = smallBatch(5, { positions: 20 })
    // What stands in the padding is not looked at.
    padded.features.fill(7, 12 * 16, 20 * 16)
    expect(await gradients(padded)).toEqual(await gradients(smallBatch(5)))
  })

  it('goes on from a state as if it had not been stopped', async () => {
    await using whole = await create()
    await train(whole, [1, 2, 3])
    await using first = await create()
    await train(first, [1])
    const state = structuredClone(await first.readState())
    await using second = await create()
    await train(second, [9])
    await second.accumulate(smallBatch(8))
    await second.writeState(state)
    await train(second, [2, 3])
    expect(bitsOf(await second.readState())).toEqual(bitsOf(await whole.readState()))
  })

  it('counts token losses where tokenLossMask is 1 only, and reads noisy inputs', async () => {
    await using trainer = await create()
    const batch = smallBatch()
    const [whole] = await trainer.accumulate(batch)
    const tokenLossMask = batch.lossMask.slice()
    tokenLossMask[tokenLossMask.indexOf(1)] = 0
    const [part] = await trainer.accumulate({ ...batch, tokenLossMask })
    expect(part!.feature).toBe(whole!.feature)
    expect(part!.token).not.toBe(whole!.token)
    const none = await trainer.accumulate({ ...batch, tokenLossMask: new Uint8Array(tokenLossMask.length) })
    expect(none[0]).toMatchObject({ token: 0, topK: 0, accuracy: 0, total: whole!.feature })
    const inputFeatures = batch.features.map((value) => value + 0.1)
    expect((await trainer.accumulate({ ...batch, inputFeatures }))[0]!.feature).not.toBe(whole!.feature)
  })

  it('names step and tensor where a number is none, and changes nothing then', async () => {
    await using trainer = await create()
    const batch = smallBatch()
    const state = structuredClone(await trainer.readState())
    const spoiled = { ...batch, features: batch.features.slice() }
    spoiled.features[6 * 16] = Number.NaN
    await expect(trainer.accumulate(spoiled)).rejects.toMatchObject({
      code: 'HASS_ERR_NON_FINITE',
      details: { alignmentStep: 1, tensor: expect.stringContaining('losses.') },
    })
    await expect(trainer.update({ learningRate: 1e-3 })).rejects.toMatchObject({
      code: 'HASS_ERR_NON_FINITE',
      message: expect.stringMatching(/gradient of "fc\.weight" has \d+ elements/),
    })
    expect(bitsOf(await trainer.readState())).toEqual(bitsOf(state))
    await trainer.writeState(state)
    await trainer.accumulate(batch)
    await trainer.update({ learningRate: 1e-3 })
  })

  const batch = smallBatch()
  const refusals: [string, RegExp, object][] = [
    ['tokens', /tokens of the batch has 3 elements, expected 24/, { tokens: new Uint32Array(3) }],
    ['features', /features of the batch has 10 elements/, { features: new Float32Array(10) }],
    ['token masks', /tokenLossMask of the batch has 1 elements/, { tokenLossMask: new Uint8Array(1) }],
    [
      'a mask at the end',
      /lossMask is 1 at the last position of sequence 1/,
      { lossMask: batch.lossMask.slice().fill(1, 23) },
    ],
    [
      'a mask of other numbers',
      /lossMask 6 is 2, expected 0 or 1/,
      { lossMask: batch.lossMask.map((value) => 2 * value) },
    ],
    ['no masked position', /no position at which losses count/, { lossMask: new Uint8Array(24) }],
    ['too long sequences', /positions of a batch/, { positions: 21 }],
    ['too many sequences', /sequences of a batch/, { sequences: 4 }],
    [
      'tokens beyond the vocabulary',
      /expected less than 40|below its limit/,
      { tokens: batch.tokens.slice().fill(40) },
    ],
  ]
  it.each(refusals)('refuses %s', async (_, message, change) => {
    await using trainer = await create()
    await expect(trainer.accumulate({ ...batch, ...change })).rejects.toThrow(message)
    await trainer.accumulate(batch)
  })

  it('refuses parameters that do not fit, and options that are none', async () => {
    const { parameters, config } = smallHead()
    const changed = (name: string, value?: { shape: number[]; data: Float32Array }) => {
      const map = new Map(parameters)
      if (value) map.set(name, value)
      else map.delete(name)
      return { parameters: map }
    }
    const wrong = { shape: [16, 16], data: new Float32Array(256) }
    await expect(create(changed('fc.weight'))).rejects.toThrow(/"fc.weight" is missing, expected \[16,32\]/)
    await expect(create(changed('fc.weight', wrong))).rejects.toThrow(/"fc.weight" is \[16,16\] with 256 elements/)
    await expect(create(changed('extra.weight', wrong))).rejects.toThrow(/"extra.weight" is no parameter of this head/)
    await expect(create({ config: { ...config, layers: 2 } })).rejects.toThrow(/2 layers, expected 1/)
    await expect(create({ lmHead: new Float32Array(17) })).rejects.toThrow(/lmHead has 17 elements/)
    await expect(create({ recipe: { alignmentSteps: 9 } })).rejects.toThrow(/alignmentSteps/)
    await expect(create({ recipe: { dropout: 0.1 } })).rejects.toThrow(/no option "dropout"/)
    await expect(create({ recipe: { clip: 0 } })).rejects.toThrow(/clip 0/)
    await expect(create({ recipe: { topK: 13 } })).rejects.toThrow(/K is 13, expected 1 to the 12 rows of lmHead/)
    await expect(create({ seed: 1 })).rejects.toThrow(/no option "seed"/)
  })

  it('refuses states of other heads, and all calls after its end', async () => {
    const trainer = await create()
    const state = await trainer.readState()
    const parameters = new Map(state.parameters).set('fc.bias', new Float32Array(3))
    await expect(trainer.writeState({ ...state, parameters })).rejects.toThrow(/parameter of "fc.bias" has 3 elements/)
    await expect(trainer.update({ learningRate: Number.NaN })).rejects.toThrow(/learningRate/)
    await trainer[Symbol.asyncDispose]()
    await trainer[Symbol.asyncDispose]()
    for (const call of [
      () => trainer.accumulate(batch),
      () => trainer.update({ learningRate: 1 }),
      () => trainer.readState(),
      () => trainer.readGradients(),
      () => trainer.writeState(state),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    }
  })
})

describe('training on cpu', () => {
  const threads = [1, 2, 3]
  const devices = threads.map((count) => openDevice({ kind: 'cpu', threads: count }))
  afterAll(() => devices.forEach((device) => void device.dispose()))

  it('gives the same bits on any number of threads', async () => {
    const found = []
    for (const device of devices) {
      await using trainer = await createHeadTrainer({ device, ...smallHead() })
      await train(trainer, [1, 2])
      found.push(bitsOf(await trainer.readState()))
    }
    expect(found[1]).toEqual(found[0])
    expect(found[2]).toEqual(found[0])
  })
})
