import { execFile } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const native = fileURLToPath(new URL('../../../../native/', import.meta.url))
const run = promisify(execFile)
const compiler = process.env.CXX ?? 'c++'
const flags = ['-std=c++17', '-O1', '-fPIC', '-ffp-contract=off', '-fvisibility=hidden', '-w', '-Iemulation']

/** A fault that is planted into one kernel source. */
export interface CudaMutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** Which of several places with this text. */
  readonly occurrence: number
}

/**
 * Every barrier and wait of every kernel left out, and every closed group of copies; masks that are too wide, of which a
 * result can tell.
 */
export function listCudaMutants(): CudaMutant[] {
  const mutants: CudaMutant[] = []
  for (const file of readdirSync(join(native, 'cuda')).filter((name) => name.endsWith('.cu'))) {
    const text = readFileSync(join(native, 'cuda', file), 'utf8')
    for (const pattern of [/__syncthreads\(\);.*/g, /wait_for_copies<[^;]*>\(\);/g, /commit_copies\(\);/g]) {
      const seen = new Map<string, number>()
      for (const [from] of text.matchAll(pattern)) {
        const occurrence = seen.get(from) ?? 0
        seen.set(from, occurrence + 1)
        mutants.push({ name: `${file}: no ${from} (${occurrence})`, file, from, to: ';', occurrence })
      }
    }
  }
  const masks: readonly [file: string, from: string, to: string, occurrence?: number][] = [
    ['attention.cu', 'begin + score_positions <= context.committed', 'true'],
    ['attention.cu', 'begin + value_positions <= context.committed', 'true'],
    ['attention.cu', 'const bool is_there = piece * 16 < columns * element_bytes;', 'const bool is_there = true;'],
    ['attention.cu', 'for (int i = thread; i < count; i += 8)', 'for (int i = thread; i < weight_positions; i += 8)'],
    ['attention.cu', 'for (int i = 0; i < count; ++i)', 'for (int i = 0; i < value_positions; ++i)'],
    ['attention.cu', 'if (head >= heads || lane >= columns) return;', 'if (head >= heads) return;'],
    ['choice.cu', 'other.token < token', 'other.token > token'],
    ['choice.cu', 'for (int i = thread; i < count; i += 8)', 'for (int i = thread; i < tile; i += 8)'],
    ['linear.cu', 'block >= a.in / 32', 'false'],
    ['linear.cu', 'i >= a.in', 'false'],
    ['linear.cu', 'output / 8 - i / unit_inputs(dtype) % 2', '0'],
    [
      'linear_float.cu',
      'at.first_row + row < at.live_rows && first + input < p.a.in',
      'at.first_row + row < at.live_rows',
    ],
    ['linear_float.cu', 'copy_async_4(to, source, is_there ? 4 : 0)', 'copy_async_4(to, source, 4)'],
    [
      'linear_float.cu',
      'left < chunk_units<dtype> ? static_cast<int>(left) : chunk_units<dtype>',
      'chunk_units<dtype>',
    ],
    [
      'linear_quantized.cu',
      'const int count = left < chunk_blocks ? static_cast<int>(left) : chunk_blocks;',
      'const int count = chunk_blocks;',
    ],
    [
      'linear_quantized.cu',
      'const int count = left < chunk_blocks ? static_cast<int>(left) : chunk_blocks;',
      'const int count = chunk_blocks;',
      1,
    ],
    ['linear_float.cu', 'w / 2 == 0 ? first_scale : scale', 'scale'],
    ['linear_float.cu', 'sums[t][w] = 0.0f;', ';'],
    ['linear_tiles.h', 'scales[64 + 16 * piece + o]', 'scales[64 + o]'],
    ['linear_tiles.h', 'scales[96 + 16 * piece + o]', 'scales[96 + o]'],
    ['linear_tiles.h', 'output >= a.out', 'false'],
    ['linear_tiles.h', 'row >= at.live_rows', 'row >= 8 * tiles'],
    ['rows.cu', 'for (int i = thread; i < count; i += 8)', 'for (int i = thread; i < tile; i += 8)'],
  ]
  for (const [file, from, to, occurrence = 0] of masks) {
    mutants.push({ name: `${file}: "${to}" for "${from}" (${occurrence})`, file, from, to, occurrence })
  }
  return mutants
}

/** Compiles the emulated library with a mutant's fault; what has no fault is compiled once. */
export class MutantBuilder {
  readonly #folder: string
  readonly #objects = new Map<string, string>()
  #libraries = 0

  /** @param folder an empty folder to build in */
  constructor(folder: string) {
    this.#folder = folder
  }

  async prepare(): Promise<void> {
    const { sourcesOf } = (await import(pathToFileURL(join(native, 'gyp', 'sources.mjs')).href)) as {
      sourcesOf(part: string): string[]
    }
    const shared = sourcesOf('cuda').filter((source) => !source.startsWith('cuda/'))
    const queue = [...sourcesOf('emulation'), ...shared]
    const work = async () => {
      for (let source = queue.shift(); source; source = queue.shift()) {
        this.#objects.set(source, await this.#compile(native, source, 'sound'))
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, work))
  }

  /** The path of a library with a fault, or of the sound one. */
  async build(mutant?: CudaMutant): Promise<string> {
    const library = join(this.#folder, `library-${this.#libraries++}.so`)
    const objects = mutant ? await this.#objectsWith(mutant) : this.#objects
    await run(compiler, ['-shared', ...objects.values(), '-o', library])
    return library
  }

  async #objectsWith(mutant: CudaMutant): Promise<Map<string, string>> {
    const tree = join(this.#folder, 'tree')
    for (const folder of ['cuda', 'cpu', 'include', 'runtime', 'emulation']) {
      cpSync(join(native, folder), join(tree, folder), { recursive: true })
    }
    const path = join(tree, 'cuda', mutant.file)
    const parts = readFileSync(path, 'utf8').split(mutant.from)
    if (parts.length <= mutant.occurrence + 1) throw new Error(`"${mutant.name}": its text is not there.`)
    const before = parts.slice(0, mutant.occurrence + 1).join(mutant.from)
    writeFileSync(path, before + mutant.to + parts.slice(mutant.occurrence + 1).join(mutant.from))
    const objects = new Map(this.#objects)
    const isShared = mutant.file.endsWith('.h')
    for (const source of objects.keys()) {
      const text = readFileSync(join(native, source), 'utf8')
      const isConcerned = isShared ? /linear_(quantized|float)\.cu/.test(text) : text.includes(`/${mutant.file}"`)
      if (isConcerned) objects.set(source, await this.#compile(tree, source, 'faulty'))
    }
    return objects
  }

  async #compile(tree: string, source: string, kind: string): Promise<string> {
    const object = join(this.#folder, `${kind}-${source.replaceAll('/', '_')}.o`)
    await run(compiler, [...flags, '-c', source, '-o', object], { cwd: tree })
    return object
  }
}
