import { describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openDevice } from './device.js'
import { createGraph } from './graph/graph.js'
import { testDevices } from './testing/devices.js'

interface Choice {
  readonly logits: number[]
  readonly temperature: number
  readonly seed: number
  readonly position: number
  readonly token: number
}

describe.skipIf(listGolden('noise').length === 0).each(testDevices)('golden choices on $kind $isa', (options) => {
  it('are chosen', async () => {
    const file = readGoldenJson('noise', 'choices.json')
    const choices = (Array.isArray(file) ? file : file.cases) as Choice[]
    expect(choices.length).toBeGreaterThan(0)
    await using device = openDevice(options)
    for (const { logits, temperature, seed, position, token } of choices) {
      const g = createGraph('choice')
      const rows = g.dimension('rows', 1)
      const x = g.input('x', 'F32', [rows, logits.length])
      const temperatures = g.input('temperatures', 'U32', [rows, 2])
      const positions = g.input('positions', 'U32', [rows])
      g.output('token', g.gumbelArgMax(x, temperatures, positions, g.input('seeds', 'U32', [rows, 2])))
      const outputs = await device.compile(g).run({
        inputs: {
          x: Float32Array.from(logits),
          temperatures: new Uint32Array(Float64Array.of(temperature).buffer),
          positions: Uint32Array.of(position),
          seeds: Uint32Array.of(seed % 2 ** 32, Math.floor(seed / 2 ** 32)),
        },
      })
      expect(outputs.token!.readAll()[0]).toBe(token)
    }
  })
})
