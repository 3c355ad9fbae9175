import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ExportLayout, exportDraftHead, exportLayouts, readTokenMap } from '@hass-engine/weights'
import { type Command, Option } from 'commander'
import { FileError, UsageError } from '../errors.js'
import { type Terminal, withoutControls, write } from '../terminal.js'

interface ConvertFlags {
  readonly to: ExportLayout
  readonly out: string
  readonly tokenMap?: string
}

export function addConvert(program: Command, terminal: Terminal): void {
  program
    .command('convert')
    .description('write a draft head as SGLang, vLLM or the reference implementation loads it')
    .argument('<head>', 'folder of a head; for nextn, of DeepSeek-V3 or R1 with its MTP layer')
    .addOption(new Option('--to <layout>', 'what is to load it').choices(exportLayouts).makeOptionMandatory())
    .requiredOption('--out <folder>', 'where it is written')
    .option(
      '--token-map <file>',
      'draft vocabulary for SGLang: a JSON list of token ids, or a .pt (default: the head’s)',
    )
    .action((head: string, flags: ConvertFlags) => convert(head, flags, terminal))
}

async function convert(head: string, { to, out, tokenMap }: ConvertFlags, { output, errors }: Terminal): Promise<void> {
  const { files, notes } = await exportDraftHead({
    head,
    folder: out,
    layout: to,
    ...(tokenMap !== undefined && { tokenMap: await readIds(tokenMap) }),
  })
  for (const note of notes) errors.write(`${note}\n`)
  await write(output, withoutControls(files.map((file) => `${join(out, file)}\n`).join('')))
}

async function readIds(path: string): Promise<ArrayLike<number>> {
  if (path.endsWith('.pt')) return readTokenMap(path)
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new FileError('Reading', path, cause)
  })
  try {
    const ids: unknown = JSON.parse(text)
    if (Array.isArray(ids)) return ids as number[]
  } catch {
    // Said below.
  }
  throw new UsageError(`${path} is no JSON list of token ids.`)
}
