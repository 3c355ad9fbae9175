import { checkOptionKeys, type DraftTree, type Token } from '@hass-engine/core'
import { childLists } from './tree-layout.js'

export interface DrawOptions {
  /** Nodes to mark as accepted: `verdict.path`. Defaults to none. */
  readonly accepted?: ArrayLike<number>
  /** Text of a token; quoted and escaped in the drawing, cut at 40 characters. Defaults to the token's id. */
  readonly tokenText?: (token: Token, node: number) => string
}

interface DrawnNode {
  readonly label: string
  /** Log-probability of the node summed from the root, two decimals; empty at the root. */
  readonly logProb: string
  readonly isAccepted: boolean
}

function drawnNodes(tree: DraftTree, options: DrawOptions, where: string): DrawnNode[] {
  checkOptionKeys(options, ['accepted', 'tokenText'], where)
  const accepted = new Set(Array.from(options.accepted ?? []))
  return Array.from(tree.tokens, (token, node) => ({
    label: options.tokenText ? visible(options.tokenText(token, node)) : String(token),
    logProb: node === 0 ? '' : tree.logProbs[node]!.toFixed(2),
    isAccepted: accepted.has(node),
  }))
}

/** As a string literal: no control character, half a surrogate pair or byte that XML forbids survives. */
function visible(text: string): string {
  return JSON.stringify(text.slice(0, 40)).replace(
    /[\u007f-\u009f\u2028\u2029\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The tree as lines of text, one per node, with log-probabilities; accepted nodes end in `✓`. */
export function drawText(tree: DraftTree, options: DrawOptions = {}): string {
  const nodes = drawnNodes(tree, options, 'drawText')
  const children = childLists(tree)
  const lines: string[] = []
  const open: { node: number; lead: string; childLead: string }[] = [{ node: 0, lead: '', childLead: '' }]
  for (let at = open.pop(); at; at = open.pop()) {
    const { label, logProb, isAccepted } = nodes[at.node]!
    lines.push(`${at.lead}${[label, logProb, isAccepted ? '✓' : ''].filter(Boolean).join('  ')}`)
    const own = children[at.node]!
    for (const [i, node] of [...own.entries()].reverse()) {
      const isLast = i === own.length - 1
      open.push({
        node,
        lead: `${at.childLead}${isLast ? '└─ ' : '├─ '}`,
        childLead: `${at.childLead}${isLast ? '   ' : '│  '}`,
      })
    }
  }
  return lines.join('\n')
}

/** The tree in Graphviz' DOT language; accepted nodes and the edges to them are green and bold. */
export function drawDot(tree: DraftTree, options: DrawOptions = {}): string {
  const nodes = drawnNodes(tree, options, 'drawDot')
  const mark = (isAccepted: boolean, more: string) => (isAccepted ? `, color="#1a7f37", ${more}` : '')
  const lines = nodes.map(({ label, logProb, isAccepted }, node) => {
    const text = [label, logProb].filter(Boolean).map(escapeDot).join('\\n')
    return `  n${node} [label="${text}"${mark(isAccepted, 'style=bold')}];`
  })
  for (let node = 1; node < nodes.length; node++) {
    const style = nodes[node]!.isAccepted ? ' [color="#1a7f37", penwidth=2]' : ''
    lines.push(`  n${tree.parents[node]} -> n${node}${style};`)
  }
  return `digraph draft {\n  rankdir=LR;\n  node [shape=box, fontname="monospace"];\n${lines.join('\n')}\n}\n`
}

function escapeDot(text: string): string {
  return text.replace(/["\\]/g, '\\$&')
}

const [columnWidth, rowHeight, boxWidth, boxHeight] = [150, 40, 120, 32]

/** The tree as an SVG document, left to right; accepted nodes have the class `accepted` and are filled green. */
export function drawSvg(tree: DraftTree, options: DrawOptions = {}): string {
  const nodes = drawnNodes(tree, options, 'drawSvg')
  const rows = leafRows(tree)
  const left = (node: number) => 10 + tree.depths[node]! * columnWidth
  const middle = (node: number) => 10 + rows[node]! * rowHeight + boxHeight / 2
  const edges = nodes.slice(1).map(({ isAccepted }, i) => {
    const node = i + 1
    const parent = tree.parents[node]!
    const [x, bend] = [left(parent) + boxWidth, left(node) - (columnWidth - boxWidth) / 2]
    const path = `M${x} ${middle(parent)} C${bend} ${middle(parent)} ${bend} ${middle(node)} ${left(node)} ${middle(node)}`
    return `<path${isAccepted ? ' class="accepted"' : ''} d="${path}"/>`
  })
  const boxes = nodes.map(({ label, logProb, isAccepted }, node) => {
    const [x, y] = [left(node), middle(node)]
    const second = logProb && `<tspan x="${x + 6}" dy="13" class="log-prob">${logProb}</tspan>`
    return (
      `<g${isAccepted ? ' class="accepted"' : ''}><rect x="${x}" y="${y - boxHeight / 2}" width="${boxWidth}" ` +
      `height="${boxHeight}" rx="4"/><text x="${x + 6}" y="${y - (logProb ? 2 : -4)}">${escapeXml(label)}${second}</text></g>`
    )
  })
  const width = 20 + boxWidth + Math.max(...tree.depths) * columnWidth
  const height = 20 + (Math.max(...rows) + 1) * rowHeight
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
text { font: 11px monospace; fill: #1f2328 } .log-prob { font-size: 9px; fill: #59636e }
rect { fill: #fff; stroke: #818b98 } path { fill: none; stroke: #818b98 }
.accepted rect { fill: #dafbe1; stroke: #1a7f37; stroke-width: 2 } path.accepted { stroke: #1a7f37; stroke-width: 2 }
</style>
${edges.join('\n')}
${boxes.join('\n')}
</svg>
`
}

/** Each leaf on a row of its own, from top to bottom as the text drawing has them; a parent amid its children. */
function leafRows(tree: DraftTree): Float64Array {
  const children = childLists(tree)
  const rows = new Float64Array(tree.tokens.length)
  let nextRow = 0
  const open = [0]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const own = children[node]!
    if (own.length === 0) rows[node] = nextRow++
    for (let i = own.length - 1; i >= 0; i--) open.push(own[i]!)
  }
  for (let node = rows.length - 1; node >= 0; node--) {
    const own = children[node]!
    if (own.length > 0) rows[node] = (rows[own[0]!]! + rows[own[own.length - 1]!]!) / 2
  }
  return rows
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
