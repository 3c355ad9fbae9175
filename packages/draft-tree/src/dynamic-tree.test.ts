import type { DraftCandidates, DraftTree } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draft, evenRows, faultsOf } from '../test/support.js'
import { dynamicTree } from './dynamic-tree.js'

/** The largest sum of probabilities of any set of so many candidates that is closed under parents. */
function bruteForce(parents: readonly number[], probs: readonly number[], nodes: number): number {
  let best = 0
  for (let set = 0; set < 1 << probs.length; set++) {
    let [size, sum, isClosed] = [0, 0, true]
    for (let i = 0; i < probs.length; i++) {
      if (!((set >> i) & 1)) continue
      size++
      sum += probs[i]!
      if (parents[i]! >= 0 && !((set >> parents[i]!) & 1)) isClosed = false
    }
    if (isClosed && size <= nodes) best = Math.max(best, sum)
  }
  return best
}

const drafted = (tree: DraftTree) => tree.logProbs.slice(1).reduce((sum, logProb) => sum + Math.exp(logProb), 0)

describe('dynamicTree', () => {
  it('keeps the most probable closed set of all its candidates', () => {
    const logProb = fc.integer({ min: 1, max: 40 }).map((steps) => -steps / 8)
    fc.assert(
      fc.property(
        fc.array(logProb, { minLength: 14, maxLength: 14 }),
        fc.integer({ min: 1, max: 14 }),
        (logProbs, maxNodes) => {
          // Two children per row and three levels: 2 + 4 + 4 candidates with topK 2.
          const parents: number[] = []
          const probs: number[] = []
          let next = 0
          let asked: number[] = [-1]
          const seen: number[] = []
          const policy = dynamicTree({ topK: 2, depth: 2, maxNodes })
          const { tree } = draft(policy, (level, rows, width): DraftCandidates => {
            const tokens = Uint32Array.from({ length: rows * width }, (_, i) => 100 * (level + 1) + i)
            const own = Float32Array.from({ length: rows * width }, () => logProbs[next++]!)
            if (level > 0) {
              const scores = seen.map((i) => probs[i]!)
              asked = seen
                .map((_, i) => i)
                .sort((a, b) => scores[b]! - scores[a]! || a - b)
                .slice(0, 2)
                .map((i) => seen[i]!)
            }
            seen.length = 0
            for (let i = 0; i < rows * width; i++) {
              const parent = asked[Math.floor(i / width)]!
              seen.push(probs.length)
              parents.push(parent)
              probs.push((parent === -1 ? 1 : probs[parent]!) * Math.exp(own[i]!))
            }
            return { rows, width, tokens, logProbs: own }
          })
          expect(tree.tokens.length - 1).toBe(Math.min(maxNodes, 10))
          expect(drafted(tree)).toBeCloseTo(bruteForce(parents, probs, maxNodes), 5)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('has the paper’s sizes by default', () => {
    const policy = dynamicTree()
    expect(policy.width).toBe(10)
    const { tree, frontiers } = draft(policy, evenRows(Array.from({ length: 10 }, (_, i) => 0.5 / (i + 1))))
    expect(tree.tokens).toHaveLength(60)
    expect(frontiers.map((frontier) => frontier.tokens.length)).toEqual([10, 10, 10, 10, 10, 0])
    expect(faultsOf(tree)).toEqual([])
  })

  it('gives ties to the earlier candidate', () => {
    const { tree, frontiers } = draft(dynamicTree({ topK: 3, depth: 1, maxNodes: 2 }), evenRows([0.25, 0.25, 0.25]))
    expect([...frontiers[0]!.tokens]).toEqual([1000, 1001, 1002])
    expect([...tree.tokens]).toEqual([7, 1000, 1001])
  })

  it('sums log-probabilities in float32', () => {
    const { tree } = draft(dynamicTree({ topK: 1, depth: 2, maxNodes: 3 }), evenRows([0.3]))
    const one = Math.fround(Math.log(0.3))
    expect([...tree.logProbs]).toEqual([0, one, Math.fround(one + one), Math.fround(Math.fround(one + one) + one)])
  })

  it('leaves out what has no float32 log-probability', () => {
    const { tree } = draft(dynamicTree({ topK: 1, depth: 1 }), (level) => ({
      rows: 1,
      width: 1,
      tokens: Uint32Array.of(level),
      logProbs: Float32Array.of(-3e38),
    }))
    expect(faultsOf(tree)).toEqual([])
    expect([...tree.tokens]).toEqual([7, 0])
  })

  it('leaves out twins, zero probabilities and NaN', () => {
    const { tree } = draft(dynamicTree({ topK: 4, depth: 0 }), () => ({
      rows: 1,
      width: 4,
      tokens: Uint32Array.of(3, 3, 4, 5),
      logProbs: Float32Array.of(-1, -2, Number.NaN, 5),
    }))
    expect([...tree.tokens]).toEqual([7, 3, 5])
    expect([...tree.logProbs]).toEqual([0, -1, 0])
  })

  it.each<[object, string]>([
    [{ topK: 0 }, 'topK'],
    [{ topK: 129 }, 'topK'],
    [{ depth: -1 }, 'depth'],
    [{ maxNodes: 0 }, 'maxNodes'],
    [{ maxNodes: Number.NaN }, 'maxNodes'],
    [{ totalTokens: 60 }, 'no option "totalTokens"'],
  ])('refuses %o', (options, message) => {
    expect(() => dynamicTree(options)).toThrow(message)
  })
})
