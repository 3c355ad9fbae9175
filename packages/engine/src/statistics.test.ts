import { createDraftTree } from '@hass-engine/core'
import { expect, it } from 'vitest'
import { StatisticsCounter } from './statistics.js'

/** Root, two children, and a chain of two below the first of them. */
const tree = createDraftTree([1, 2, 3, 4, 5], [-1, 0, 0, 1, 3])

function cycle(path: readonly number[]) {
  const verdict = { path: Uint32Array.from(path), bonusToken: 9 }
  return { tree, verdict, emitted: [], draftMs: 1, verifyMs: 2 }
}

it('counts nothing where there was no cycle', () => {
  expect(new StatisticsCounter().result).toEqual({
    drafted: 0,
    accepted: 0,
    emitted: 0,
    targetCalls: 0,
    acceptanceLength: 0,
    depths: [],
    draftMs: 0,
    verifyMs: 0,
    otherMs: 0,
  })
})

it('counts drafted, accepted and emitted tokens apart, and by depth', () => {
  const counter = new StatisticsCounter()
  counter.add(cycle([0, 1, 3, 4]), 4, 5)
  counter.add(cycle([0, 2]), 2, 4)
  counter.add(cycle([0]), 1, 3)
  expect(counter.result).toEqual({
    drafted: 12,
    accepted: 4,
    emitted: 7,
    targetCalls: 3,
    acceptanceLength: 7 / 3,
    depths: [
      { drafted: 3, accepted: 2 },
      { drafted: 3, accepted: 1 },
      { drafted: 3, accepted: 1 },
    ],
    draftMs: 3,
    verifyMs: 6,
    otherMs: 3,
  })
  expect(counter.totalMs).toBe(12)
})

it('counts no accepted token that the output has not taken: it may end inside an accepted run', () => {
  const counter = new StatisticsCounter()
  counter.add(cycle([0, 1, 3, 4]), 2, 5)
  const { accepted, emitted, depths } = counter.result
  expect([accepted, emitted, depths!.map((depth) => depth.accepted)]).toEqual([2, 2, [1, 1, 0]])
})

it('never reports negative time, whatever the clock says', () => {
  const counter = new StatisticsCounter()
  counter.add(cycle([0]), 1, 2)
  expect(counter.result.otherMs).toBe(0)
})
