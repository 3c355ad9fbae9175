import assert from 'node:assert/strict'
import { createDraftTree, type DraftTree } from '../draft-tree.js'
import type { DraftCandidates, DraftCycle, Frontier, TreePolicy } from '../drafting.js'
import { type ContractCase, createRandom } from './contract-case.js'

/** Logits of one made-up candidate list; hostile ones must cost nothing but acceptance. */
type Scores = 'sensible' | 'nan' | 'infinite' | 'equal'

/** What every `TreePolicy` must keep, whatever a draft model tells it. `create` is called once per case. */
export function treePolicyCases(create: () => TreePolicy): ContractCase[] {
  const hostile: Scores[] = ['nan', 'infinite', 'equal']
  return [
    {
      name: 'finishes with the root alone before any candidate is seen',
      run() {
        const tree = create().start({ root: 7 }).finish()
        assertValidTree(tree, 7)
      },
    },
    {
      name: 'builds valid trees whose frontiers name earlier rows',
      run: () => {
        for (let seed = 0; seed < 20; seed++) driveCycle(create(), { root: seed }, 'sensible', seed)
      },
    },
    ...hostile.map((scores) => ({
      name: `survives ${scores} candidates`,
      run: () => {
        for (let seed = 0; seed < 10; seed++) driveCycle(create(), { root: seed }, scores, seed)
      },
    })),
    {
      name: 'gives the same tree for the same candidates',
      run() {
        const [first, second] = [
          driveCycle(create(), { root: 1 }, 'sensible', 5),
          driveCycle(create(), { root: 1 }, 'sensible', 5),
        ]
        assert.deepEqual(first, second)
      },
    },
    {
      name: 'never passes maxDepth',
      run() {
        for (const maxDepth of [0, 1, 2, 3]) {
          const tree = driveCycle(create(), { root: 3, maxDepth }, 'sensible', maxDepth)
          assert.ok(Math.max(...tree.depths) <= maxDepth, `depth ${Math.max(...tree.depths)} with maxDepth ${maxDepth}`)
        }
      },
    },
    {
      name: 'runs cycles of several sequences side by side',
      run() {
        const policy = create()
        const alone = [1, 2, 3].map((seed) => driveCycle(create(), { root: seed }, 'sensible', seed))
        const drives = [1, 2, 3].map((seed) => startDrive(policy, { root: seed }, 'sensible', seed))
        while (drives.some((drive) => drive.step()));
        assert.deepEqual(
          drives.map((drive) => drive.finish()),
          alone,
        )
      },
    },
    {
      name: 'observes verdicts of any of its trees',
      run() {
        const policy = create()
        for (let seed = 0; seed < 20; seed++) {
          const tree = driveCycle(policy, { root: seed }, seed % 4 === 0 ? 'nan' : 'sensible', seed)
          const isChild = (parent: number) => (value: number, node: number) => node > 0 && value === parent
          const child = tree.parents.findIndex(isChild(0))
          const path = child > 0 && seed % 2 === 0 ? [0, child] : [0]
          policy.observe?.(tree, { path: Uint32Array.from(path), bonusToken: 0 })
        }
      },
    },
  ]
}

/** Fails unless `tree` is a proper draft tree of `root`. */
export function assertValidTree(tree: DraftTree, root: number): void {
  assert.equal(tree.tokens[0], root, 'node 0 is the root')
  const rebuilt = createDraftTree(tree.tokens, tree.parents, tree.logProbs)
  assert.deepEqual(tree.depths, rebuilt.depths, 'depths follow from parents')
  assert.equal(tree.logProbs[0], 0, 'the root is certain')
}

function driveCycle(policy: TreePolicy, cycle: DraftCycle, scores: Scores, seed: number): DraftTree {
  const drive = startDrive(policy, cycle, scores, seed)
  while (drive.step());
  return drive.finish()
}

function startDrive(policy: TreePolicy, cycle: DraftCycle, scores: Scores, seed: number) {
  const random = createRandom(seed)
  const builder = policy.start(cycle)
  let rows = 1
  let frontierRows = 1
  let levels = 0
  return {
    /** One level; false once drafting has ended. */
    step(): boolean {
      if (policy.width === 0 || frontierRows === 0) return false
      assert.ok(levels++ < 1000, 'drafting ends by itself')
      const frontier: Frontier = builder.expand(inventCandidates(frontierRows, policy.width, scores, random))
      assert.equal(frontier.tokens.length, frontier.parents.length)
      for (const parent of frontier.parents) assert.ok(parent < rows, `frontier names row ${parent} of ${rows}`)
      frontierRows = frontier.tokens.length
      rows += frontierRows
      return frontierRows > 0
    },
    finish(): DraftTree {
      const tree = builder.finish()
      assertValidTree(tree, cycle.root)
      assert.ok(
        tree.tokens.length <= policy.maxNodes + 1,
        `${tree.tokens.length} nodes with maxNodes ${policy.maxNodes}`,
      )
      return tree
    },
  }
}

function inventCandidates(rows: number, width: number, scores: Scores, random: () => number): DraftCandidates {
  const tokens = new Uint32Array(rows * width)
  const logProbs = new Float32Array(rows * width)
  for (let row = 0; row < rows; row++) {
    let rest = 1
    for (let rank = 0; rank < width; rank++) {
      const share = rest * (0.3 + 0.4 * random())
      rest -= share
      tokens[row * width + rank] = rank * 17 + Math.floor(random() * 17)
      logProbs[row * width + rank] = {
        sensible: Math.log(share),
        nan: random() < 0.5 ? Number.NaN : Math.log(share),
        infinite: random() < 0.5 ? Infinity : -Infinity,
        equal: -1,
      }[scores]
    }
  }
  return { rows, width, tokens, logProbs }
}
