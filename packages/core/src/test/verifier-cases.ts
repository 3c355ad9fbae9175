import assert from 'node:assert/strict'
import { createDraftTree, type DraftTree } from '../draft-tree.js'
import type { TargetChoices, Verifier } from '../verification.js'
import { type ContractCase, createRandom } from './contract-case.js'

/** What every `Verifier` must keep: a certain target leaves no room for taste, so all rules must agree on it. */
export function verifierCases(create: () => Verifier): ContractCase[] {
  return [
    {
      name: 'emits the choice of a certain target after the root alone',
      async run() {
        const verdict = await create().verify({
          tree: createDraftTree([4], [-1]),
          target: certainTarget(8),
          rootPosition: 0,
        })
        assert.deepEqual([...verdict.path], [0])
        assert.equal(verdict.bonusToken, 5)
      },
    },
    {
      name: 'accepts the whole path that a certain target would take',
      async run() {
        const tree = createDraftTree([1, 7, 2, 3, 0, 4], [-1, 0, 0, 2, 2, 3])
        const verdict = await create().verify({ tree, target: certainTarget(8), rootPosition: 10 })
        assert.deepEqual([...verdict.path], [0, 2, 3, 5])
        assert.equal(verdict.bonusToken, 5)
      },
    },
    {
      name: 'accepts nothing where no child is possible',
      async run() {
        const tree = createDraftTree([1, 5, 6, 7], [-1, 0, 0, 1])
        const verdict = await create().verify({ tree, target: certainTarget(8), rootPosition: 10 })
        assert.deepEqual([...verdict.path], [0])
        assert.equal(verdict.bonusToken, 2)
      },
    },
    {
      name: 'returns a path of parent and child for any tree, siblings with one token included',
      async run() {
        const random = createRandom(11)
        for (let round = 0; round < 50; round++) {
          const tree = inventTree(random)
          const { path, bonusToken } = await create().verify({ tree, target: certainTarget(4), rootPosition: round })
          assert.equal(path[0], 0)
          path.slice(1).forEach((node, i) => {
            assert.equal(tree.parents[node], path[i], 'each node is a child of the one before it')
            assert.equal(tree.tokens[node], (tree.tokens[path[i]!]! + 1) % 4, 'the target would have chosen it')
          })
          assert.equal(bonusToken, (tree.tokens[path.at(-1)!]! + 1) % 4)
        }
      },
    },
    {
      name: 'asks the target only for nodes whose path it has accepted',
      async run() {
        const tree = createDraftTree([1, 7, 2, 3, 0], [-1, 0, 0, 1, 2])
        const asked = new Set<number>()
        const target = certainTarget(8)
        await create().verify({
          tree,
          rootPosition: 0,
          target: {
            choose(node, path) {
              asked.add(node)
              return target.choose(node, path)
            },
            probs(node, path) {
              asked.add(node)
              return target.probs(node, path)
            },
          },
        })
        assert.deepEqual([...asked].sort(), [0, 2])
      },
    },
    {
      name: 'passes a failure of the target on',
      async run() {
        const failure = new Error('the device is gone')
        const fail = () => Promise.reject(failure)
        const input = { tree: createDraftTree([1, 2], [-1, 0]), target: { choose: fail, probs: fail }, rootPosition: 0 }
        await assert.rejects(create().verify(input), failure)
      },
    },
  ]
}

/** After token t it is certain of t + 1, modulo the vocabulary. */
function certainTarget(vocabSize: number): TargetChoices {
  const next = (path: readonly number[]) => (path.at(-1)! + 1) % vocabSize
  return {
    choose: async (_node, path) => next(path),
    probs: async (_node, path) =>
      Float64Array.from({ length: vocabSize }, (_, token) => (token === next(path) ? 1 : 0)),
  }
}

function inventTree(random: () => number): DraftTree {
  const nodes = 1 + Math.floor(random() * 12)
  const tokens = Array.from({ length: nodes }, () => Math.floor(random() * 4))
  const parents = tokens.map((_, node) => (node === 0 ? -1 : Math.floor(random() * node)))
  return createDraftTree(tokens, parents)
}
