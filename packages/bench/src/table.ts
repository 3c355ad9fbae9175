/** Cells as text, rows equally long. */
export interface Table {
  /** Titles over several columns, each from where it stands to the next one; `''` where a title goes on. */
  readonly groups?: readonly string[]
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const gap = '  '

/** A table for a terminal: columns as wide as their widest cell, figures to the right. */
export function textTable({ groups, head, rows }: Table): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const isFigure = head.map((_, column) => rows.every((row) => /^(–|-?\d.*)?$/.test(row[column]!)))
  const spans = groups ? spansOf(groups) : []
  for (const { title, from, to } of spans) widths[to - 1]! += Math.max(0, title.length - spanWidth(widths, from, to))
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (isFigure[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
  return [
    ...(groups ? [spans.map(({ title, from, to }) => title.padEnd(spanWidth(widths, from, to)))] : []),
    line(head),
    ['─'.repeat(spanWidth(widths, 0, widths.length))],
    ...rows.map(line),
  ]
    .map((cells) => cells.join(gap).trimEnd())
    .join('\n')
}

/**
 * A table without groups for a terminal of so many columns: in parts, each with the first `keys` columns, if it is too wide
 * for one.
 */
export function textTableParts({ head, rows }: Table, keys: number, width: number): string {
  const parts: string[] = []
  for (let from = keys; from < head.length; ) {
    const part = (to: number) => {
      const cut = (row: readonly string[]) => [...row.slice(0, keys), ...row.slice(from, to)]
      return textTable({ head: cut(head), rows: rows.map(cut) })
    }
    let to = head.length
    while (to > from + 1 && widthOf(part(to)) > width) to--
    parts.push(part(to))
    from = to
  }
  return parts.join('\n\n')
}

/** Of its longest line. */
export function widthOf(text: string): number {
  return Math.max(...text.split('\n').map(({ length }) => length))
}

/** A table in GitHub's Markdown, which knows one row of heads: the titles over several columns stand in it. */
export function markdownTable({ groups, head, rows }: Table): string {
  const line = (row: readonly string[]) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = line(head.map(() => '---'))
  const top = groups ? [line(groups), rule, line(head)] : [line(head), rule]
  return [...top, ...rows.map(line)].join('\n')
}

/** Columns `from` to `to`, the latter excluded, under one title. */
function spansOf(groups: readonly string[]): { title: string; from: number; to: number }[] {
  const starts = groups.flatMap((title, column) => (column === 0 || title !== '' ? [column] : []))
  return starts.map((from, i) => ({ title: groups[from]!, from, to: starts[i + 1] ?? groups.length }))
}

function spanWidth(widths: readonly number[], from: number, to: number): number {
  return widths.slice(from, to).reduce((sum, width) => sum + width, 0) + gap.length * (to - from - 1)
}
