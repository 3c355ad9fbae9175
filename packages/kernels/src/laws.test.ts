import { afterAll, describe, expect, it } from 'vitest'
import { Device, openDevice } from './device.js'
import { doctor } from './doctor.js'
import { AddonNotFoundError, UnsupportedError } from './errors.js'
import * as ops from './operations/index.js'
import type { Operation } from './operations/operation.js'
import { floatsOf, wordsOf } from './reference/host-tensor.js'
import { createReferenceAddon } from './reference/reference-addon.js'
import { nativeKinds } from './testing/devices.js'
import { checkAgreement, checkLaws, checkRowInvariance, scenariosFor } from './testing/laws.js'
import { Random } from './testing/random.js'
import { prepare } from './testing/scenario.js'
import { createLargeScenarios, createScenarios, createTiledScenarios } from './testing/scenarios.js'

const seeds = [1, 2, 3]
const { isas, addonError } = await doctor({ measure: false })
const gpuKinds = nativeKinds.filter((kind) => kind !== 'cpu')
const reference = openDevice({ kind: 'reference' })
const devices = (nativeKinds.includes('cpu') ? isas : []).flatMap((isa) =>
  [1, 2, 3, 4].map((threads) => ({ isa, threads })),
)
afterAll(() => reference.dispose())

describe('every operation of the reference', () => {
  it.each(seeds)('gives rows the same bits in any company, round %i', async (seed) => {
    expect(await checkLaws(reference, seed)).toEqual([])
  })
})

describe.each(devices)('every operation of cpu, $isa with $threads threads', ({ isa, threads }) => {
  const device = openDevice({ kind: 'cpu', isa, threads })
  afterAll(() => device.dispose())

  it.each(seeds)('gives rows the same bits in any company, round %i', async (seed) => {
    expect(await checkLaws(device, seed)).toEqual([])
  })

  it.each(seeds)('agrees with the reference, round %i', async (seed) => {
    for (const scenario of createScenarios(new Random(seed))) {
      expect(await checkAgreement(device, reference, scenario)).toEqual([])
    }
  })
})

describe.each(gpuKinds)('every operation of %s', (kind) => {
  const device = openDevice({ kind })
  afterAll(() => device.dispose())

  it.each(seeds)('gives rows the same bits in any company, round %i', async (seed) => {
    expect(await checkLaws(device, seed)).toEqual([])
  })

  it.each(seeds)('agrees with the reference, round %i', async (seed) => {
    for (const scenario of scenariosFor(device, createScenarios(new Random(seed)))) {
      expect(await checkAgreement(device, reference, scenario)).toEqual([])
    }
  })

  it('agrees with the reference where it is large', async () => {
    for (const scenario of scenariosFor(device, createLargeScenarios(new Random(5)))) {
      expect(await checkAgreement(device, reference, scenario)).toEqual([])
    }
  })

  it('refuses the operations of training, by name of what is missing', async () => {
    const training = createScenarios(new Random(1)).filter(({ isTraining }) => isTraining)
    expect(training.length).toBeGreaterThan(0)
    for (const scenario of training) await expect(prepare(device, scenario)).rejects.toThrow(UnsupportedError)
  })

  it('keeps the laws beyond the borders of tiles', async () => {
    const random = new Random(6)
    for (const scenario of createTiledScenarios(random)) {
      expect(await checkAgreement(device, reference, scenario)).toEqual([])
      expect(await checkRowInvariance(device, scenario, random)).toEqual([])
    }
  })
})

describe.each(nativeKinds.includes('cpu') ? isas : [])(
  'operations of cpu, %s, that are worth several threads',
  (isa) => {
    const open = (threads: number) => openDevice({ kind: 'cpu', isa, threads })
    const single = open(1)
    afterAll(() => single.dispose())

    it.each([2, 3, 4])('give the bits of one thread on %i, in any company', async (threads) => {
      await using device = open(threads)
      const random = new Random(threads)
      for (const scenario of createLargeScenarios(random)) {
        // Of one instruction set, even floats are the same whatever the threads.
        expect(await checkAgreement(device, single, { ...scenario, isExact: true })).toEqual([])
        expect(await checkRowInvariance(device, scenario, random)).toEqual([])
      }
    })

    it('agree with the reference', async () => {
      for (const scenario of createLargeScenarios(new Random(5))) {
        expect(await checkAgreement(single, reference, scenario)).toEqual([])
      }
    })
  },
)

it('knows why there is no cpu device, where there is none', () => {
  expect(isas.length > 0 ? undefined : addonError).toEqual(isas.length > 0 ? undefined : expect.any(AddonNotFoundError))
})

/** A reference device in which one operation is broken. */
function openMutant(name: string, run: Operation['run']): Device {
  const original = ops.operations.find((operation) => operation.name === name)!
  const broken = new Map(ops.operationByOpcode).set(original.opcode, { ...original, run })
  const addon = createReferenceAddon({ precision: 'float32', operations: broken })
  return new Device('reference', { addon, device: addon.createDevice('auto', 1), floatBytes: 4 })
}

describe('the laws bite', () => {
  it('on a reduction whose order depends on the row count', async () => {
    const mutant = openMutant('linear', (call) => {
      ops.linear.run(call)
      const [y, x, weight] = call.tensors
      const [rows, columns] = x!.shape as [number, number]
      if (rows < 4 || weight!.dtype !== 'F32') return
      // A tile for four rows or more that sums from the other end.
      for (let o = 0; o < weight!.shape[0]!; o++) {
        let sum = 0
        for (let i = columns - 1; i >= 0; i--) {
          sum = Math.fround(sum + Math.fround(floatsOf(x!)[i]! * floatsOf(weight!)[o * columns + i]!))
        }
        floatsOf(y!)[o] = sum
      }
    })
    expect((await checkLaws(mutant, 1)).join()).toMatch(/linear F32.* alone/)
  })

  it('on a chunk border that follows the commit and not the position', async () => {
    const mutant = openMutant('treeAttention', (call) => {
      const [, q, , , rowSequence, sequenceOffsets, contextSlots, ancestorOffsets, ancestorSlots] = call.tensors
      // The context in the order of its slots' commit, rotated so that sums start with the ancestors.
      const lists = Array.from({ length: q!.shape[0]! }, (_, row) => {
        const sequence = wordsOf(rowSequence!)[row]!
        const own = wordsOf(ancestorSlots!).subarray(wordsOf(ancestorOffsets!)[row], wordsOf(ancestorOffsets!)[row + 1])
        const old = wordsOf(contextSlots!).subarray(
          wordsOf(sequenceOffsets!)[sequence],
          wordsOf(sequenceOffsets!)[sequence + 1],
        )
        return [...own, ...old]
      })
      let end = 0
      const slots = Uint32Array.from(lists.flat())
      const offsets = Uint32Array.of(0, ...lists.map((list) => (end += list.length)))
      const none = Uint32Array.from(wordsOf(sequenceOffsets!), () => 0)
      const tensors = [...call.tensors]
      tensors[5] = { ...sequenceOffsets!, data: none }
      tensors[7] = { ...ancestorOffsets!, data: offsets }
      tensors[8] = { ...ancestorSlots!, data: slots }
      ops.treeAttention.run({ ...call, tensors })
    })
    expect((await checkLaws(mutant, 1)).join()).toMatch(/treeAttention.*committed/)
  })

  it('on a stale slot that is not masked', async () => {
    const mutant = openMutant('treeAttention', (call) => {
      const tensors = [...call.tensors]
      const offsets = wordsOf(tensors[5]!).slice()
      // The last sequence sees the slot that stands behind its end in the list of the other.
      offsets[1] = Math.min(offsets[1]! + 1, tensors[6]!.shape[0]!)
      tensors[5] = { ...tensors[5]!, data: offsets }
      ops.treeAttention.run({ ...call, tensors })
    })
    expect((await checkLaws(mutant, 1)).join()).toMatch(/treeAttention/)
  })

  it('on a backend that is right and stable but of other bits', async () => {
    const mutant = openMutant('rmsNorm', (call) => {
      ops.rmsNorm.run(call)
      const y = floatsOf(call.tensors[0]!)
      for (let i = 0; i < y.length; i++) y[i] = y[i]! * (1 + 2 ** -23)
    })
    const found = []
    for (const scenario of createScenarios(new Random(1)))
      found.push(...(await checkAgreement(mutant, reference, scenario)))
    expect(found.join()).toMatch(/rmsNorm/)
  })
})
