import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { cpus, homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CostCurve, CostTables, DraftModel, TargetModel } from '@hass-engine/core'
import type { Device } from '@hass-engine/kernels'
import type { OpenedModel } from '@hass-engine/weights'

/** Row counts that are measured; between them costs are taken to be linear. */
const measuredRows = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]

/** Committed tokens that a measured pass attends to: an ordinary chat's. */
const contextTokens = 192

const repetitions = 5

/** Whatever changes the meaning of a stored table changes this. */
const tableVersion = 1

export interface CostTableOptions {
  readonly model: OpenedModel
  readonly target: TargetModel
  readonly draft: DraftModel
  readonly device: Device
}

/** The cost tables of this machine and model: read if they were measured before, else measured and kept. */
export async function loadCostTables(options: CostTableOptions): Promise<CostTables> {
  const path = await tablePath(options)
  const stored = await readTables(path)
  if (stored) return stored
  const tables = await measureCostTables(options.target, options.draft)
  await storeTables(path, tables)
  return tables
}

/**
 * Times passes of 1 to 64 rows of both models behind a context of 192 tokens, each as the median of five.
 *
 * @returns milliseconds, with the head's passes over frontiers
 */
export async function measureCostTables(target: TargetModel, draft: DraftModel): Promise<CostTables> {
  const context = Uint32Array.from({ length: Math.min(contextTokens, target.maxContext - 65) }, (_, i) => i % 97)
  const sequence = target.createSequence()
  const draftSequence = draft.createSequence()
  try {
    const chain = Int32Array.from(context, (_, row) => row - 1)
    const [output] = await target.forward([{ sequence, tokens: context, parents: chain, logits: 'none' }])
    const rows = Uint32Array.from(context.keys())
    sequence.commit(rows)
    const features = output!.features
    await draft.begin([{ sequence: draftSequence, tokens: context, features, featureRows: rows, width: 8 }])
    const draftCurve = await measureCurve(async (count) => {
      const tokens = Uint32Array.from({ length: count }, (_, i) => i)
      await draft.extend([{ sequence: draftSequence, frontier: { tokens, parents: new Uint32Array(count) } }])
    })
    const verifyCurve = await measureCurve(async (count) => {
      const tokens = Uint32Array.from({ length: count }, (_, i) => i)
      const parents = Int32Array.from(tokens, (row) => (row === 0 ? -1 : 0))
      await target.forward([{ sequence, tokens, parents }])
      sequence.commit([])
    })
    return { verify: verifyCurve, draft: draftCurve }
  } finally {
    sequence.dispose()
    draftSequence.dispose()
  }
}

async function measureCurve(pass: (rows: number) => Promise<void>): Promise<CostCurve> {
  const ms: number[] = []
  for (const rows of measuredRows) {
    await pass(rows)
    const times: number[] = []
    for (let i = 0; i < repetitions; i++) {
      const startedAt = performance.now()
      await pass(rows)
      times.push(performance.now() - startedAt)
    }
    times.sort((a, b) => a - b)
    // More rows never cost less: what says otherwise is noise.
    ms.push(Math.max(times[repetitions >> 1]!, ms.at(-1) ?? 0))
  }
  return { rows: measuredRows, ms }
}

async function tablePath({ model, draft, device }: CostTableOptions): Promise<string> {
  const { size, mtimeMs } = await stat(model.path)
  const { isa, threads } = device.facts
  const key = [
    tableVersion,
    model.path,
    size,
    mtimeMs,
    draft.constructor.name,
    device.kind,
    isa,
    threads,
    cpus()[0]?.model,
  ]
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32)
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  return join(cache, 'hass-engine', 'costs', `${digest}.json`)
}

async function readTables(path: string): Promise<CostTables | undefined> {
  try {
    const tables = JSON.parse(await readFile(path, 'utf8')) as CostTables
    return isCurve(tables.verify) && isCurve(tables.draft) ? tables : undefined
  } catch {
    return undefined
  }
}

function isCurve({ rows, ms }: CostCurve): boolean {
  const isAscending = (values: readonly number[]) =>
    values.every((value, i) => value > 0 && value >= (values[i - 1] ?? 0))
  return rows.length > 0 && rows.length === ms.length && isAscending(rows) && isAscending(ms)
}

/** Tables that cannot be kept are measured again next time: nothing is lost but a second. */
async function storeTables(path: string, tables: CostTables): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    const temporary = `${path}.${process.pid}`
    await writeFile(temporary, JSON.stringify(tables))
    await rename(temporary, path)
  } catch {
    return
  }
}
