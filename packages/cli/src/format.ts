import type { GenerationResult } from '@hass-engine/core'

/** Tokens that decoding emitted per second of its cycles; the prefill and its first token are not counted. */
export function tokensPerSecond({ speculation, usage, timings }: GenerationResult): number | undefined {
  const tokens = speculation?.emitted ?? usage.completionTokens - 1
  const ms = timings.decodeMs ?? timings.totalMs
  return tokens > 0 && ms > 0 ? (1000 * tokens) / ms : undefined
}

/** What an answer took, on one line. */
export function statusLine(result: GenerationResult): string {
  const { speculation, usage, timings, finishReason } = result
  const rate = tokensPerSecond(result)
  const tokens = usage.completionTokens
  return [
    rate !== undefined && `${rate.toFixed(1)} tokens/s`,
    speculation && speculation.targetCalls > 0 && `τ ${speculation.acceptanceLength.toFixed(2)}`,
    `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
    timings.firstTokenMs !== undefined && `first after ${formatMs(timings.firstTokenMs)}`,
    finishReason === 'length' && 'cut at the longest answer',
  ]
    .filter(Boolean)
    .join(' · ')
}

export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** Bytes in binary units, three digits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`
}

/** A count in decimal units, as parameters are counted: `135 M`. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} B`
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`
  if (count >= 1e4) return `${(count / 1e3).toFixed(1)} k`
  return String(count)
}

/** Rows as lines, columns padded to their widest cell. */
export function formatTable(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return rows
    .map((row) => `${indent}${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
    .join('\n')
}

/** JSON with 64-bit integers as decimal strings: a number would round them. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, (_, field: unknown) =>
    typeof field === 'bigint' ? String(field) : field instanceof Uint32Array ? [...field] : field,
  )}\n`
}
