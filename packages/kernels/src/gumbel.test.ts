import { describe, expect, it } from 'vitest'
import { type DeviceOptions, openDevice } from './device.js'
import { createGraph } from './graph/graph.js'
import { cpuIsas, testDevices } from './testing/devices.js'

const columns = 77

/** Rows on which nothing but the noise decides, or nearly nothing does, and rows that no model should give. */
const rows: readonly ((column: number) => number)[] = [
  () => 0,
  () => -3,
  (column) => column * 1e-6,
  (column) => (column % 5 === 0 ? Number.NaN : Math.sin(column)),
  (column) => (column < 64 ? -Infinity : Math.cos(column)),
  (column) => (column === 40 ? 30 : 0),
  () => Number.NaN,
]

async function choose(options: DeviceOptions, temperatures: readonly number[]): Promise<number[]> {
  await using device = openDevice(options)
  const graph = createGraph('choice')
  const count = rows.length * temperatures.length
  const token = graph.gumbelArgMax(
    graph.input('x', 'F32', [count, columns]),
    graph.input('temperatures', 'U32', [count, 2]),
    graph.input('positions', 'U32', [count]),
    graph.input('seeds', 'U32', [count, 2]),
  )
  graph.output('token', token)
  await using program = device.compile(graph)
  const pairs = rows.flatMap((row) => temperatures.map((temperature) => ({ row, temperature })))
  const { token: chosen } = await program.run({
    inputs: {
      x: Float32Array.from(pairs.flatMap(({ row }) => Array.from({ length: columns }, (_, column) => row(column)))),
      temperatures: new Uint32Array(Float64Array.from(pairs, ({ temperature }) => temperature).buffer),
      positions: Uint32Array.from(pairs, (_, i) => i),
      seeds: Uint32Array.from({ length: 2 * count }, (_, i) => (i * 2654435761) >>> 0),
    },
  })
  return [...chosen!.readAll()]
}

describe('gumbelArgMax', () => {
  const ordinary = [0, 0.3, 0.7, 1, 1.5]

  it.each(testDevices)('chooses as the reference does: %j', async (options) => {
    expect(await choose(options, ordinary)).toEqual(await choose({ kind: 'reference' }, ordinary))
  })

  // Of a temperature as small as this a bound in float32 is a zero.
  it.each(cpuIsas)('chooses as the reference does at the smallest temperatures: %s', async (isa) => {
    expect(await choose({ kind: 'cpu', isa }, [1e-300])).toEqual(await choose({ kind: 'reference' }, [1e-300]))
  })
})
