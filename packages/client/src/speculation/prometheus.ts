import { ResponseError } from '../errors.js'

/** One line of a `/metrics` page. */
export interface MetricSample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$/
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|$)/y
const specialValues: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['+Inf', Infinity],
  ['Inf', Infinity],
  ['-Inf', -Infinity],
])

/**
 * The samples of Prometheus' text format, version 0.0.4; comments are skipped.
 *
 * @param prefix only names that begin with it are read: a page has thousands of lines, and a few are wanted
 * @throws ResponseError for a line that is none of the format
 */
export function parseMetrics(page: string, prefix = ''): MetricSample[] {
  const samples: MetricSample[] = []
  for (const line of page.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#') || !line.startsWith(prefix)) continue
    const [, name, labels = '', value] = sampleLine.exec(line) ?? []
    if (name === undefined) return refuseLine(line)
    samples.push({ name, labels: parseLabels(labels, line), value: parseValue(value!, line) })
  }
  return samples
}

function parseLabels(text: string, line: string): Map<string, string> {
  const labels = new Map<string, string>()
  const trimmed = text.trim()
  for (label.lastIndex = 0; label.lastIndex < trimmed.length; ) {
    const match = label.exec(trimmed)
    if (!match) return refuseLine(line)
    labels.set(
      match[1]!,
      match[2]!.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    )
  }
  return labels
}

function parseValue(text: string, line: string): number {
  const value = specialValues.get(text) ?? (/^[-+\d.eE]+$/.test(text) ? Number(text) : undefined)
  return value === undefined || (Number.isNaN(value) && text !== 'NaN') ? refuseLine(line) : value
}

function refuseLine(line: string): never {
  const shown = line.slice(0, 120)
  throw new ResponseError(`The metrics have the line ${JSON.stringify(shown)}, expected name{labels} value.`, {
    line: shown,
  })
}
