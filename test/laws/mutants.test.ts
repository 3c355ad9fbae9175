import { afterAll, describe, expect, it } from 'vitest'
import { goldenHeads } from '../../packages/engine/src/testing/tiny-models.js'
import { pairwise } from './combinations.js'
import { factors, Law, type LawCase } from './law.js'
import { mutants, wrongFeatures } from './mutants.js'

/** Where most can go wrong: a good head, large trees, one device that is quick. */
const base: LawCase = {
  head: goldenHeads[0]!,
  headKind: 'golden',
  policy: 'dynamic',
  temperature: 0,
  cut: 'none',
  penalty: 'none',
  isCoupled: true,
  seed: 1,
  device: 'cpu1',
  prompt: 'medium',
  prefillChunk: 64,
  company: 'alone',
  keptPrefixes: 4,
  cache: 'roomy',
  abort: 'none',
  ending: 'length',
}

/** Circumstances in which a fault shows, by its name. */
const circumstances: Record<keyof typeof mutants, Partial<LawCase>> = {
  rowCountInBits: {},
  noiseByCycle: { temperature: 1 },
  unmaskedSlot: {},
  rejectedRowKept: {},
  prefixTooLong: { policy: 'ngram' },
  penaltyOffByOne: { penalty: 'echo', temperature: 1 },
  stopOverlooked: { ending: 'stopToken' },
}

describe('the law', () => {
  const law = new Law()
  afterAll(() => law.dispose())
  const cases = (changes: Partial<LawCase>) =>
    pairwise({ head: goldenHeads, seed: factors.seed, prefillChunk: factors.prefillChunk }, 1).map(
      (row): LawCase => ({ ...base, ...row, ...changes }),
    )

  it.each(Object.entries(circumstances))(
    'holds where nothing is broken, in the circumstances of %s',
    async (_, changes) => {
      for (const lawCase of cases(changes)) expect(await law.check(lawCase)).toEqual([])
    },
  )

  it.each(Object.entries(circumstances))('finds the mutant %s', async (name, changes) => {
    const found: string[] = []
    for (const lawCase of cases(changes)) {
      found.push(...(await law.check(lawCase, mutants[name as keyof typeof mutants]())))
    }
    // A broken engine may also fail outright; that it says something else must be seen too.
    expect(found.filter((difference) => !difference.startsWith('failed'))).not.toEqual([])
  })

  it('forgives a head that reads the features of other positions: it is slower, and says the same', async () => {
    const lengths = async (mutant?: ReturnType<typeof wrongFeatures>) => {
      const from = law.acceptanceLengths.length
      for (const lawCase of cases({ policy: 'chain' })) expect(await law.check(lawCase, mutant)).toEqual([])
      return law.acceptanceLengths.slice(from).reduce((sum, length) => sum + length, 0)
    }
    const right = await lengths()
    const wrong = await lengths(wrongFeatures())
    expect(wrong).toBeLessThan(right)
  })
})
