import { createDraftTree } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { exactMatch } from './exact-match.js'
import { recursiveRejection } from './recursive-rejection.js'

interface Cycle {
  committed_length: number
  draft_tokens: number[]
  parents: number[]
  target_argmax_at_node?: number[]
  decisions?: { position: number; token: number; p: number; u: number; accepted: boolean }[]
  accept_length: number
  accepted_nodes: number[]
  next_root: number
  next_root_u?: number
}

const files = listGolden('traces', /\.json$/)
const cyclesOf = (file: string) => (readGoldenJson('traces', file) as { cycles: Cycle[] }).cycles

/**
 * Greedy traces hold the target's choice at every node. Sampled ones hold the probability of each token that was
 * tried, at the moment of its trial: enough to replay trials and acceptance, while the draw of the bonus token needs
 * the whole distribution (see the golden verification cases).
 */
describe.skipIf(files.length === 0)('golden traces', () => {
  it.each(files)('%s', async (file) => {
    const cycles = cyclesOf(file)
    expect(cycles.length).toBeGreaterThan(0)
    for (const cycle of cycles) {
      const verdict = await (cycle.decisions ? replaySampled(cycle, cycle.decisions) : replayGreedy(cycle))
      expect([...verdict.path]).toEqual(cycle.accepted_nodes)
      expect(verdict.path.length).toBe(cycle.accept_length + 1)
      expect(verdict.bonusToken).toBe(cycle.next_root)
    }
  })
})

function replayGreedy(cycle: Cycle) {
  return exactMatch().verify({
    tree: createDraftTree(cycle.draft_tokens, cycle.parents),
    rootPosition: cycle.committed_length,
    target: { choose: (node) => cycle.target_argmax_at_node![node]!, probs: () => new Float64Array() },
  })
}

async function replaySampled(cycle: Cycle, decisions: NonNullable<Cycle['decisions']>) {
  const { committed_length: rootPosition, next_root: nextRoot } = cycle
  const unused = [...decisions]
  const verdict = await recursiveRejection({
    random(position, token) {
      if (token === undefined) return cycle.next_root_u!
      const decision = unused.shift()!
      expect({ position: position - rootPosition, token }).toEqual({
        position: decision.position,
        token: decision.token,
      })
      return decision.u
    },
  }).verify({
    tree: createDraftTree(cycle.draft_tokens, cycle.parents),
    rootPosition,
    target: {
      choose: () => nextRoot,
      probs(_node, path) {
        // A recorded probability was renormalised after the rejections before it: that is undone here.
        const tried = decisions.filter(({ position }) => position === path.length)
        const probs = new Float64Array(Math.max(nextRoot, ...tried.map(({ token }) => token)) + 2)
        let rest = 1
        for (const { token, p } of tried) {
          probs[token] = p * rest
          rest -= p * rest
        }
        const others = path.length === cycle.accept_length + 1 ? nextRoot : probs.length - 1
        probs[others]! += rest
        return probs
      },
    },
  })
  expect(unused).toEqual([])
  return verdict
}
