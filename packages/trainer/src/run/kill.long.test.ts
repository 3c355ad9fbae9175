import { expect, it } from 'vitest'
import { killRuns } from '../testing/child-processes.js'

it('ends with the same bits after a thousand kills at random instants', async () => {
  const { kills, runs, expected } = await killRuns(1000, 2)
  expect(kills).toBe(1000)
  for (const { hash } of runs) expect(hash).toBe(expected)
})
