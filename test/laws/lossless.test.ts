import { afterAll, describe, expect, it } from 'vitest'
import { pairwise } from './combinations.js'
import { factors, Law } from './law.js'

/** Each round covers every pair of circumstances, in company of others. */
const rounds = [1, 2, 3]

/** Threads that outnumber a busy machine's cores wait for each other long. */
describe('speculation changes the speed and nothing else', () => {
  const law = new Law()
  afterAll(() => law.dispose())
  let checked = 0

  it.each(rounds)(
    'in every pair of circumstances on cpu devices, round %i',
    async (round) => {
      // One round with every device: threads that outnumber the cores take four times as long, to prove the same again.
      const device = factors.device.filter((name) => name !== 'reference' && (round === 1 || name !== 'cpu4'))
      for (const lawCase of pairwise({ ...factors, device }, round)) {
        expect({ lawCase, differs: await law.check(lawCase) }).toEqual({ lawCase, differs: [] })
        checked += 1
      }
    },
    300_000,
  )

  it('was really tried: drafts accepted, prefixes shared, generations restarted, requests aborted at every stage', () => {
    expect(checked).toBeGreaterThan(120)
    expect(law.acceptanceLengths.filter((length) => length > 1.5).length).toBeGreaterThan(20)
    expect(law.seen.shared).toBeGreaterThan(20)
    expect(law.seen.restarted).toBeGreaterThan(0)
    expect([...law.seen.aborted].sort()).toEqual(factors.abort.filter((stage) => stage !== 'none').sort())
  })
})
