import { checkNumber, type DraftCycle } from '@hass-engine/core'

/** Bounds of what a policy may be asked for: far above use, low enough that no option can exhaust memory. */
export const limits = {
  /** Candidates per row. */
  topK: 128,
  /** Depth of a tree. */
  depth: 128,
  /** Nodes of a tree, the root excluded. */
  nodes: 4096,
} as const

export function checkTopK(value: unknown, name: string): number {
  return checkNumber(value, name, { min: 1, max: limits.topK, isInteger: true })
}

export function checkDepth(value: unknown, name: string): number {
  return checkNumber(value, name, { min: 1, max: limits.depth, isInteger: true })
}

export function checkNodes(value: unknown, name: string): number {
  return checkNumber(value, name, { min: 1, max: limits.nodes, isInteger: true })
}

/** Levels that a cycle allows to a policy of so many. */
export function levelsOf(cycle: DraftCycle, levels: number): number {
  return Math.min(levels, Math.floor(checkNumber(cycle.maxDepth ?? Infinity, 'cycle.maxDepth', { min: 0 })))
}
