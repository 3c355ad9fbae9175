import type { Command } from 'commander'
import { formatBytes, formatCount, formatTable, toJson } from '../format.js'
import { describeFiles, type FileFacts } from '../inspect/file-facts.js'
import { type Terminal, withoutControls, write } from '../terminal.js'

interface InspectFlags {
  readonly json?: true
  readonly tensors?: true
}

export function addInspect(program: Command, terminal: Terminal): void {
  program
    .command('inspect')
    .description('what a model or a draft head is made of; reads its headers only')
    .argument('<path>', 'folder, or .gguf, .safetensors, .bin file')
    .option('--json', 'print one JSON object')
    .option('--tensors', 'list every tensor')
    .action((path: string, flags: InspectFlags) => inspect(path, flags, terminal))
}

async function inspect(path: string, { json, tensors }: InspectFlags, { output }: Terminal): Promise<void> {
  const { list, ...summary } = await describeFiles(path)
  if (json) return write(output, toJson(tensors ? { ...summary, tensors: list } : summary))
  const listed = list.map(({ name, dtype, shape, byteLength }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(byteLength),
  ])
  const sections = [formatSummary(summary), ...(tensors ? [`tensors\n${formatTable(listed, '  ')}`] : [])]
  await write(output, `${withoutControls(sections.join('\n\n'))}\n`)
}

function formatSummary(facts: Omit<FileFacts, 'list'>): string {
  const { path, config, parameters, dtypes, memory, tokenizer } = facts
  const stored = dtypes.map(({ dtype, tensors, elements, bytes }) => [
    dtype,
    `${tensors} tensors`,
    `${formatCount(elements)} elements`,
    formatBytes(bytes),
    `${((8 * bytes) / Math.max(elements, 1)).toFixed(2)} bits each`,
  ])
  const head = formatTable([
    ['path', path],
    ['architecture', config?.architecture ?? 'unknown: tensors without a configuration'],
    ['parameters', `${formatCount(parameters)} (${parameters})`],
    ...(tokenizer ? [['tokenizer', tokenizer]] : []),
    ['weights', `${formatBytes(memory.weightBytes)} as stored`],
    ...(memory.cache ? [['cache', describeCache(memory.cache)]] : []),
  ])
  const settings = Object.entries(config ?? {}).filter(([key]) => key !== 'architecture')
  return [
    head,
    ...(config
      ? [
          `configuration\n${formatTable(
            settings.map(([key, value]) => [key, plainText(value)]),
            '  ',
          )}`,
        ]
      : []),
    `stored as\n${formatTable(stored, '  ')}`,
  ].join('\n\n')
}

function describeCache({ elementsPerToken, bytesPerToken, contextTokens }: NonNullable<FileFacts['memory']['cache']>) {
  const { F16, F32 } = bytesPerToken
  return `${formatBytes(F16)} a token in F16, ${formatBytes(F32)} in F32 (${elementsPerToken} elements); ${formatBytes(F16 * contextTokens)} for ${contextTokens} tokens in F16`
}

function plainText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
