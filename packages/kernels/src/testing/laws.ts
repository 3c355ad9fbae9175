import type { Device } from '../device.js'
import type { InputData } from '../program-inputs.js'
import { attentionScenario } from './attention-scenario.js'
import { Random } from './random.js'
import { prepare, type RowBits, relativeDifference, type Scenario, type Selection, sameBits } from './scenario.js'
import { createScenarios } from './scenarios.js'

/** Largest relative difference between backends where no bits are promised. */
const tolerance = 2e-5

/** Differences that a check found, as sentences; none if the law holds. */
export type Violations = string[]

function compareRows(found: RowBits, expected: RowBits, rows: Selection, where: string): Violations {
  return Object.entries(found).flatMap(([name, outputs]) =>
    outputs.flatMap((bits, i) =>
      sameBits(bits, expected[name]![rows[i]!]!) ? [] : [`${where}: output ${name} of row ${rows[i]} differs`],
    ),
  )
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

/** Ways to compute the same rows: alone, in chunks, in another order. */
function selections(numRows: number, random: Random): Record<string, Selection[]> {
  const all = range(numRows)
  const chunked = (size: number) => range(Math.ceil(numRows / size)).map((i) => all.slice(i * size, (i + 1) * size))
  return {
    'each row alone': chunked(1),
    'chunks of 3': chunked(3),
    'chunks of 8': chunked(8),
    permuted: [random.permutation(numRows)],
  }
}

/** A row's bits depend on no other row, row count, order or fusing, and a hostile row stays alone with its harm. */
export async function checkRowInvariance(device: Device, scenario: Scenario, random: Random): Promise<Violations> {
  const prepared = await prepare(device, scenario)
  const unfused = await prepare(device, scenario, false)
  const all = range(scenario.numRows)
  const expected = await prepared.run(all)
  const violations: Violations = []
  for (const [name, groups] of Object.entries(selections(scenario.numRows, random))) {
    for (const group of groups) {
      violations.push(...compareRows(await prepared.run(group), expected, group, `${scenario.name}, ${name}`))
    }
  }
  violations.push(...compareRows(await unfused.run(all), expected, all, `${scenario.name}, unfused`))
  // Kernels put the first row, or the last, in the place of rows that are not there.
  const hostile = [
    [0, Number.NaN],
    [scenario.numRows - 1, Infinity],
    [random.integer(0, scenario.numRows - 1), 3e38],
  ] as const
  for (const [victim, value] of hostile) {
    const found = await prepared.run(all, (inputs) => poison(inputs, victim, scenario.numRows, value))
    const others = all.filter((row) => row !== victim)
    const kept = Object.fromEntries(
      Object.entries(found).map(([name, rows]) => [name, others.map((row) => rows[row]!)]),
    )
    violations.push(...compareRows(kept, expected, others, `${scenario.name}, row ${victim} is ${value}`))
  }
  prepared.dispose()
  unfused.dispose()
  return violations
}

/** Fills one row of every float input. */
function poison(inputs: Record<string, InputData>, row: number, numRows: number, value: number): void {
  for (const data of Object.values(inputs)) {
    if (!(data instanceof Float32Array)) continue
    const columns = data.length / numRows
    data.fill(value, row * columns, (row + 1) * columns)
  }
}

/** Attention gives a row the same bits wherever its context lies, and however much of it is committed. */
async function checkPlacement(device: Device, seed: number): Promise<Violations> {
  const placements = [
    {},
    { slotSeed: 7 },
    { slotSeed: 8, committed: 0 },
    { committed: 1 },
    { slotSeed: 9, committed: 5 },
  ]
  const violations: Violations = []
  for (const dtype of ['F32', 'F16', 'BF16'] as const) {
    let expected: RowBits | undefined
    for (const placement of placements) {
      const scenario = attentionScenario(new Random(seed), { dtype, placement })
      const prepared = await prepare(device, scenario)
      const found = await prepared.run(range(scenario.numRows))
      prepared.dispose()
      expected ??= found
      violations.push(
        ...compareRows(found, expected, range(scenario.numRows), `${scenario.name} ${JSON.stringify(placement)}`),
      )
    }
  }
  return violations
}

/** Those of the scenarios that a device has operations for. */
export function scenariosFor(device: Device, scenarios: readonly Scenario[]): Scenario[] {
  return scenarios.filter(({ isTraining }) => !(isTraining && device.kind.startsWith('cuda')))
}

/** Two devices give the same bits where they are promised, and close numbers where not. */
export async function checkAgreement(device: Device, oracle: Device, scenario: Scenario): Promise<Violations> {
  const all = range(scenario.numRows)
  const [found, expected] = await Promise.all(
    [device, oracle].map(async (each) => {
      const prepared = await prepare(each, scenario)
      const bits = await prepared.run(all)
      prepared.dispose()
      return bits
    }),
  )
  if (scenario.isExact) return compareRows(found!, expected!, all, `${scenario.name}, backends`)
  return Object.entries(found!).flatMap(([name, rows]) =>
    rows.flatMap((bits, row) => {
      const difference = relativeDifference(bits, expected![name]![row]!)
      return difference <= tolerance ? [] : [`${scenario.name}: ${name} of row ${row} is off by ${difference}`]
    }),
  )
}

/** All laws of one device over one round of random scenarios. */
export async function checkLaws(device: Device, seed: number): Promise<Violations> {
  const random = new Random(seed)
  const violations: Violations = []
  for (const scenario of scenariosFor(device, createScenarios(random))) {
    violations.push(...(await checkRowInvariance(device, scenario, random)))
  }
  violations.push(...(await checkPlacement(device, seed)))
  return violations
}
