import type { DraftTree, TreePolicy } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { floats, listGolden, readGoldenJson, readGoldenTensors } from '../../../test/support/golden.js'
import { TinyHead } from '../../../test/support/tiny-head.js'
import { TinyTarget } from '../../../test/support/tiny-llama.js'
import { dynamicTree } from './dynamic-tree.js'
import { topCandidates } from './top-candidates.js'
import { ancestorLists, attentionMask, childLists, positionIds, retrieveIndices } from './tree-layout.js'

/** The tree fields that golden heads and golden traces share. */
interface GoldenTree {
  readonly draft_tokens: number[]
  readonly parents: number[]
  readonly tree_position_ids: number[]
  readonly target_position_ids: number[]
  readonly cumulative_log_prob: number[]
  readonly tree_mask?: string[]
  readonly retrieve_indices: number[][]
  readonly retrieve_indices_sorted?: number[][]
}

const targets = new Map<string, TinyTarget>()
function targetOf(name: string): TinyTarget {
  const target = targets.get(name) ?? new TinyTarget(name)
  targets.set(name, target)
  return target
}

function draft(policy: TreePolicy, head: TinyHead, root: number, rootFeature: Float32Array): DraftTree {
  const builder = policy.start({ root })
  let features = [rootFeature]
  for (;;) {
    const candidates = topCandidates({
      logits: head.logits(features),
      rows: features.length,
      vocabSize: head.target.config.vocab_size,
      width: policy.width,
    })
    const frontier = builder.expand(candidates)
    if (frontier.tokens.length === 0) return builder.finish()
    features = head.extend(frontier.tokens, frontier.parents)
  }
}

function largestDifference(rows: readonly Float32Array[], flat: Float32Array): number {
  const found = rows.flatMap((row) => [...row])
  return found.reduce((largest, value, i) => Math.max(largest, Math.abs(value - flat[i]!)), 0)
}

function rowsOf({ rows, width, indices }: { rows: number; width: number; indices: Int32Array }): number[][] {
  return Array.from({ length: rows }, (_, row) => [...indices.subarray(row * width, (row + 1) * width)])
}

function expectTree(tree: DraftTree, golden: GoldenTree, rootPosition: number, sorted: number[][] | undefined): void {
  expect([...tree.tokens]).toEqual(golden.draft_tokens)
  expect([...tree.parents]).toEqual(golden.parents)
  expect([...tree.depths]).toEqual(golden.tree_position_ids)
  expect([...positionIds(tree, rootPosition)]).toEqual(golden.target_position_ids)
  for (const [node, logProb] of golden.cumulative_log_prob.entries()) {
    expect(Math.abs(tree.logProbs[node]! - logProb), `score of node ${node}`).toBeLessThan(1e-4)
  }
  const nodes = tree.tokens.length
  if (golden.tree_mask) {
    const mask = attentionMask(tree)
    const rows = golden.tree_mask.map((_, node) => mask.subarray(node * nodes, (node + 1) * nodes).join(''))
    expect(rows).toEqual(golden.tree_mask)
    const lists = golden.tree_mask.map((row) => [...row].flatMap((bit, column) => (bit === '1' ? [column] : [])))
    expect(ancestorLists(tree).map((list) => [...list])).toEqual(lists)
  }
  const children = golden.parents.map((_, node) =>
    golden.parents.flatMap((parent, child) => (parent === node ? [child] : [])),
  )
  expect(childLists(tree)).toEqual(children)
  if (golden.retrieve_indices !== sorted) expect(rowsOf(retrieveIndices(tree))).toEqual(golden.retrieve_indices)
  if (sorted) expect(rowsOf(retrieveIndices(tree, 'path'))).toEqual(sorted)
}

const heads = listGolden('heads').filter((name) => !name.includes('.'))
const traces = listGolden('traces', /\.json$/)

it('finds golden heads and traces', () => {
  expect(heads.length).toBeGreaterThan(0)
  expect(traces.length).toBeGreaterThan(0)
})

describe.each(heads)('golden head %s', (name) => {
  const golden = readGoldenJson('heads', name, 'golden.json')
  const tensors = readGoldenTensors('heads', name, 'golden.safetensors')
  const target = targetOf(golden.target)

  it.each(golden.prompts.map((_: unknown, i: number) => i) as number[])('drafts the trees of prompt %i', (i) => {
    const prompt = golden.prompts[i]
    const featuresIn = floats(tensors, `prompt${i}.features_in`)
    const size = target.config.hidden_size
    const features = prompt.head_token_ids.map((_: number, t: number) => featuresIn.slice(t * size, (t + 1) * size))
    expect(prompt.trees.length).toBeGreaterThan(0)
    for (const tree of prompt.trees) {
      const head = new TinyHead(name, target)
      const outputs = head.begin(prompt.head_token_ids, features)
      expect(largestDifference(outputs, floats(tensors, `prompt${i}.features_out`))).toBeLessThan(1e-4)
      const policy = dynamicTree({ topK: tree.top_k, depth: tree.depth, maxNodes: tree.nodes_asked })
      const drafted = draft(policy, head, prompt.root, outputs.at(-1)!)
      expect(drafted.tokens.length).toBe(tree.nodes + 1)
      expectTree(drafted, tree, prompt.input_ids.length, tree.retrieve_indices_sorted)
    }
  })
})

describe.each(traces)('golden trace %s', (file) => {
  const trace = readGoldenJson('traces', file)

  it('drafts the tree of every cycle', () => {
    const target = targetOf(trace.target)
    const text: number[] = [...trace.prompt, ...trace.output]
    const features = target.features(text)
    const head = new TinyHead(trace.head, target)
    const policy = dynamicTree({ topK: trace.top_k, depth: trace.depth, maxNodes: trace.nodes })
    expect(trace.cycles.length).toBeGreaterThan(0)
    for (const cycle of trace.cycles) {
      const from = head.length
      const to = cycle.committed_length
      const outputs = head.begin([...text.slice(from + 1, to), cycle.root], features.slice(from, to))
      const tree = draft(policy, head, cycle.root, outputs.at(-1)!)
      expectTree(tree, cycle, to, trace.temperature > 0 ? cycle.retrieve_indices : undefined)
    }
  })
})
