import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from './device.js'
import { doctor } from './doctor.js'
import { Random } from './testing/random.js'
import { relativeDifference, sameBits } from './testing/scenario.js'
import { createTrainingCases, runTrainingCase } from './testing/training-cases.js'

/** Small sizes end within tiles; large ones pass the borders of blocks, and are shared by threads. */
const rounds = [
  { seed: 1, most: 5 },
  { seed: 2, most: 23 },
  { seed: 3, most: 70 },
  { seed: 4, most: 330 },
]
/** Sums of a few hundred products, in two orders. */
const tolerance = 4e-5

const { isas } = await doctor({ measure: false })
const reference = openDevice({ kind: 'reference' })
afterAll(() => reference.dispose())

function differences(
  found: ReadonlyMap<string, Float32Array>,
  expected: ReadonlyMap<string, Float32Array>,
  differ: (a: Float32Array, b: Float32Array) => boolean,
) {
  expect([...found.keys()]).toEqual([...expected.keys()])
  return [...found].flatMap(([name, data]) => (differ(data, expected.get(name)!) ? [name] : []))
}

describe.each(isas)('operations of training on cpu, %s', (isa) => {
  const single = openDevice({ kind: 'cpu', isa, threads: 1 })
  afterAll(() => single.dispose())

  it.each(rounds)('agree with the reference, sizes up to $most', async ({ seed, most }) => {
    for (const subject of createTrainingCases(new Random(seed), most)) {
      const [found, expected] = [await runTrainingCase(single, subject), await runTrainingCase(reference, subject)]
      const isFar = (a: Float32Array, b: Float32Array) => !(relativeDifference(a, b) <= tolerance)
      expect(differences(found, expected, isFar), subject.name).toEqual([])
    }
  })

  it.each([2, 3, 4])('give the bits of one thread on %i, every time', async (threads) => {
    await using device = openDevice({ kind: 'cpu', isa, threads })
    for (const { seed, most } of rounds) {
      for (const subject of createTrainingCases(new Random(seed), most)) {
        const expected = await runTrainingCase(single, subject)
        for (let time = 0; time < 2; time++) {
          const found = await runTrainingCase(device, subject)
          expect(
            differences(found, expected, (a, b) => !sameBits(a, b)),
            subject.name,
          ).toEqual([])
        }
      }
    }
  })
})

describe('operations of training refuse', () => {
  const devices = [reference, ...isas.slice(-1).map((isa) => openDevice({ kind: 'cpu', isa }))]
  afterAll(() => devices.slice(1).forEach((device) => void device.dispose()))
  const attention = () => createTrainingCases(new Random(5), 9).find(({ name }) => name.startsWith('aligned'))!
  const change = (input: string, index: number, value: number) => {
    const subject = attention()
    const data = Uint32Array.from(subject.inputs[input]!.data)
    data[index < 0 ? data.length + index : index] = value
    return { ...subject, inputs: { ...subject.inputs, [input]: { shape: [data.length], data } } }
  }
  const rows = () => createTrainingCases(new Random(5), 9).find(({ name }) => name.startsWith('rows'))!

  it.each(devices.map((device) => ({ device, kind: device.kind })))('wrong indices on $kind', async ({ device }) => {
    const refused = [
      change('ends', 0, 1000),
      change('begins', 0, 1000),
      change('nearOffsets', -1, 1000),
      change('near', 0, 1000),
      { ...rows(), dims: { ...rows().dims, both: rows().dims!.both! - 1 } },
      {
        ...rows(),
        inputs: {
          ...rows().inputs,
          places: { shape: rows().inputs.places!.shape, data: rows().inputs.places!.data.map(() => 99) as Uint32Array },
        },
      },
    ]
    for (const subject of refused) {
      await expect(runTrainingCase(device, subject)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_INPUT' })
    }
    for (const subject of [attention(), rows()]) await runTrainingCase(device, subject)
  })
})
