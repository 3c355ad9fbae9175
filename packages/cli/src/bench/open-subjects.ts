import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { BenchmarkSubject } from '@hass-engine/bench'
import type { Engine } from '@hass-engine/engine'
import { openDevice } from '@hass-engine/kernels'
import { modelPath } from '@hass-engine/smollm2-135m-instruct'
import { modelName, openEngine } from '../open-engine.js'
import type { ModelFlags } from '../options.js'
import type { Terminal } from '../terminal.js'
import { chooseMethods, type Method } from './methods.js'

export interface SubjectFlags extends ModelFlags {
  readonly eagleDraft?: string
  readonly methods?: readonly string[]
}

/** Methods over engines, and what they run on. */
export interface OpenedSubjects extends AsyncDisposable {
  readonly subjects: readonly BenchmarkSubject[]
  readonly facts: Readonly<Record<string, unknown>>
}

/** Loads an engine for each head, all methods of a head sharing one, and makes a subject of each method. */
export async function openSubjects(
  flags: SubjectFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<OpenedSubjects> {
  const engines = new Map<Method['head'], Engine>()
  const dispose = async () => {
    for (const engine of new Set(engines.values())) await engine.dispose()
  }
  try {
    const main = await openMain(flags, terminal, signal)
    engines.set('none', main)
    if (main.draft) engines.set('hass', main)
    const { eagleDraft } = flags
    if (eagleDraft !== undefined) {
      engines.set('eagle', await openEngine(flags, terminal, signal, { draft: eagleDraft, keptPrefixes: 0 }))
    }
    const chosen = chooseMethods(flags.methods, new Set(engines.keys()))
    const model = await identify(flags.model ?? modelPath)
    const heads = {
      none: {},
      hass: { head: flags.draft === undefined ? 'embedded' : await identify(flags.draft) },
      eagle: eagleDraft === undefined ? {} : { head: await identify(eagleDraft) },
    }
    return {
      subjects: chosen.map(({ name, key, head, policy }) => ({
        name,
        generator: engines.get(head)!,
        options: () => (policy ? { policy: policy() } : { speculate: false }),
        settings: { method: key, model, ...heads[head] },
      })),
      facts: await factsOf(flags, main),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** The engine of the head under test; where there is none, one that knows what verifying costs. */
async function openMain(flags: SubjectFlags, terminal: Terminal, signal: AbortSignal): Promise<Engine> {
  const isHeadless = flags.draft === 'none' || flags.draft === 'ngram'
  // Kept prefixes would spare a prompt's second reader what the first one had to read.
  const engine = isHeadless ? undefined : await openEngine(flags, terminal, signal, { keptPrefixes: 0 })
  if (engine?.draft) return engine
  await engine?.dispose()
  return openEngine(flags, terminal, signal, { draft: 'ngram', keptPrefixes: 0 })
}

/** Which files a model or a head consists of, so that another one of the same name is not taken for it. */
async function identify(path: string): Promise<unknown> {
  const info = await stat(path).catch(() => undefined)
  if (!info) return path
  const files = info.isDirectory() ? (await readdir(path)).sort().map((name) => join(path, name)) : [path]
  return Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file)
      return [resolve(file), size, mtimeMs]
    }),
  )
}

async function factsOf(flags: SubjectFlags, engine: Engine): Promise<Record<string, unknown>> {
  const { device: kind = 'auto', threads } = flags
  await using device = openDevice({ kind, ...(threads !== undefined && { threads }) })
  const { isa, threads: used } = device.facts
  return {
    model: modelName(flags),
    device: device.kind,
    isa,
    threads: used,
    ...(engine.costs && { costs: engine.costs }),
  }
}
