import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { cpus, homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type {
  CostCurve,
  CostTables,
  DraftModel,
  FeatureRows,
  ForwardOptions,
  ModelSequence,
  TargetModel,
} from '@hass-engine/core'
import type { Device } from '@hass-engine/kernels'
import type { OpenedModel } from '@hass-engine/weights'

/** Row counts that are measured; between them costs are taken to be linear. */
const measuredRows = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]

/** Committed tokens that a measured pass attends to: an ordinary chat's. */
const contextTokens = 192

/** Passes of each row count: more of small ones, on which trees hang. */
const repetitionsOf = (rows: number) => (rows <= 16 ? 9 : 3)

/** Whatever changes the meaning of a stored table changes this. */
const tableVersion = 2

export interface CostTableOptions {
  readonly target: TargetModel
  readonly draft: DraftModel | undefined
  readonly device: Device
  /** What target and draft were loaded from. */
  readonly models: readonly OpenedModel[]
  /** Whatever else of the loading changes what a pass costs. */
  readonly settings?: readonly unknown[]
  readonly signal?: AbortSignal
}

/** The cost tables of this machine and these models: read if they were measured before, else measured and kept. */
export async function loadCostTables(options: CostTableOptions): Promise<CostTables> {
  const { target, draft, signal } = options
  const path = await tablePath(options)
  const stored = await readTables(path)
  if (stored) return stored
  const tables = await measureCostTables(target, draft, signal ? { signal } : {})
  await storeTables(path, tables)
  return tables
}

/** Without a draft model there are no draft passes; no pass that a table holds is free. */
const noDraft: CostCurve = { rows: [1], ms: [1e-4] }

/**
 * Times passes of 1 to 64 rows of both models behind a context of 192 tokens, each as the median of nine
 * (of three beyond 16 rows).
 *
 * @param draft undefined where trees come from the text alone
 * @returns milliseconds, with the head's passes over frontiers
 * @throws the reason of `signal`, and what the models throw
 */
export async function measureCostTables(
  target: TargetModel,
  draft: DraftModel | undefined,
  options: ForwardOptions = {},
): Promise<CostTables> {
  // Rows hang on the last token of the context and lie one position below it.
  const length = Math.min(contextTokens, target.maxContext - 2)
  const context = inventTokens(length, target.vocabSize)
  const sequence = target.createSequence()
  try {
    const chain = Int32Array.from(context, (_, row) => row - 1)
    const [output] = await target.forward([{ sequence, tokens: context, parents: chain, logits: 'none' }], options)
    sequence.commit(context.map((_, row) => row))
    // Copies: the outputs are gone with the sequence's next step.
    const copies = await Promise.all(Array.from(context, (_, row) => output!.features.read(row)))
    const features = { rows: length, hiddenSize: target.hiddenSize, read: (row: number) => copies[row]!.slice() }
    const verify = await measureCurve(async (count) => {
      const tokens = inventTokens(count, target.vocabSize)
      const parents = Int32Array.from(tokens, (_, row) => (row === 0 ? -1 : 0))
      const ms = await time(() => target.forward([{ sequence, tokens, parents }], options))
      sequence.commit([])
      return ms
    })
    const drafting = draft
      ? await measureDraft(draft, { context, features, vocabSize: target.vocabSize }, options)
      : noDraft
    return { verify, draft: drafting }
  } finally {
    sequence.dispose()
  }
}

async function measureDraft(
  draft: DraftModel,
  { context, features, vocabSize }: { context: Uint32Array; features: FeatureRows; vocabSize: number },
  options: ForwardOptions,
): Promise<CostCurve> {
  const base = draft.createSequence()
  const begin = (branch: ModelSequence, end: number) => {
    const tokens = context.subarray(branch.length + 1, end)
    const featureRows = Array.from(tokens, (_, i) => branch.length + i)
    return draft.begin([{ sequence: branch, tokens, features, featureRows, width: 1 }], options)
  }
  try {
    await begin(base, context.length - 1)
    // Drafted rows stay until their sequence begins again, so each pass has a sequence of its own.
    return await measureCurve(async (count) => {
      const branch = base.fork?.({ length: base.length }) ?? draft.createSequence()
      try {
        await begin(branch, context.length)
        const frontier = { tokens: inventTokens(count, vocabSize), parents: new Uint32Array(count) }
        return await time(() => draft.extend([{ sequence: branch, frontier }], options))
      } finally {
        branch.dispose()
      }
    })
  } finally {
    base.dispose()
  }
}

/** @param pass one pass over so many rows; returns its milliseconds */
async function measureCurve(pass: (rows: number) => Promise<number>): Promise<CostCurve> {
  const times = measuredRows.map((): number[] => [])
  for (const rows of measuredRows) await pass(rows)
  // In turns: a machine that is shared has fast and slow moments, and a curve of both has no shape.
  for (let round = 0; round < repetitionsOf(1); round++) {
    for (const [i, rows] of measuredRows.entries()) {
      if (round < repetitionsOf(rows)) times[i]!.push(await pass(rows))
    }
  }
  let least = 1e-4
  const ms = times.map((all) => {
    // More rows never cost less, and no pass is free: what says otherwise is noise, or the clock's grain.
    least = Math.max(least, all.sort((a, b) => a - b)[all.length >> 1]!)
    return least
  })
  return { rows: measuredRows, ms }
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

function inventTokens(count: number, vocabSize: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => (i * 7) % vocabSize)
}

/** Where the tables of this machine and these models are kept; undefined if they cannot be told from others. */
async function tablePath({ models, device, settings }: CostTableOptions): Promise<string | undefined> {
  const files = await Promise.all(models.map(identifyFiles)).catch(() => undefined)
  if (!files) return undefined
  const { isa, threads } = device.facts
  const key = [tableVersion, files, settings, device.kind, isa, threads, cpus()[0]?.model]
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32)
  const configured = process.env.XDG_CACHE_HOME ?? ''
  // The XDG base directory specification: a relative path is to be ignored.
  const cache = isAbsolute(configured) ? configured : join(homedir(), '.cache')
  return join(cache, 'hass-engine', 'costs', `${digest}.json`)
}

/** The files of a model's weights as they are now. */
async function identifyFiles({ tensors }: OpenedModel): Promise<unknown> {
  const files = [...new Set([...tensors.values()].map(({ file }) => file))].sort()
  return Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file)
      return [resolve(file), size, mtimeMs]
    }),
  )
}

async function readTables(path: string | undefined): Promise<CostTables | undefined> {
  if (path === undefined) return undefined
  try {
    const tables = JSON.parse(await readFile(path, 'utf8')) as CostTables
    return isCurve(tables.verify) && isCurve(tables.draft) ? tables : undefined
  } catch {
    return undefined
  }
}

function isCurve({ rows, ms }: CostCurve): boolean {
  const areMeasured = (values: readonly unknown[]) => values.every((value) => typeof value === 'number' && value > 0)
  return (
    Array.isArray(rows) &&
    Array.isArray(ms) &&
    rows.length > 0 &&
    rows.length === ms.length &&
    areMeasured(rows) &&
    areMeasured(ms) &&
    rows.every((count, i) => count > (rows[i - 1] ?? 0)) &&
    ms.every((time, i) => time >= (ms[i - 1] ?? 0))
  )
}

/** Tables that cannot be kept are measured again next time: nothing is lost but a second. */
async function storeTables(path: string | undefined, tables: CostTables): Promise<void> {
  if (path === undefined) return
  const temporary = `${path}.${randomUUID()}`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, JSON.stringify(tables))
    await rename(temporary, path)
  } catch {
    await rm(temporary, { force: true }).catch(() => {})
  }
}
