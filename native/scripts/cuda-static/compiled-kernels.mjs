import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { nvcc, nvccFlags } from '../../gyp/cuda.mjs'
import { readableNames } from './kernel-names.mjs'

const native = fileURLToPath(new URL('../../', import.meta.url))
const cache = join(native, '..', '.cache', 'cuda-static')
const run = promisify(execFile)
const limits = { cwd: native, maxBuffer: 1 << 27 }

/** Reads machine code; of PyPI's `nvidia-cuda-nvdisasm`, where the toolkit lacks it. */
const nvdisasm = process.env.HASS_NVDISASM ?? 'nvdisasm'
export const hasNvdisasm = spawnSync(nvdisasm, ['--version'], { stdio: 'ignore' }).status === 0

export const kernelFiles = readdirSync(join(native, 'cuda')).filter((name) => name.endsWith('.cu'))

/** Of everything that a file's machine code follows from. */
function fingerprint(file, architecture) {
  const hash = createHash('sha256').update(`${nvccFlags} ${architecture} ${hasNvdisasm}`)
  hash.update(execFileSync(nvcc, ['--version'])).update(readFileSync(fileURLToPath(import.meta.url)))
  hash.update(readFileSync(join(native, 'cuda', file)))
  for (const folder of ['cuda', 'cpu', 'include']) {
    for (const name of readdirSync(join(native, folder)).filter((each) => each.endsWith('.h'))) {
      hash.update(readFileSync(join(native, folder, name)))
    }
  }
  return hash.digest('hex').slice(0, 32)
}

/** Texts by symbol: what follows each match of a pattern whose first group is a symbol. */
function split(text, pattern) {
  const starts = [...text.matchAll(pattern)]
  return new Map(starts.map((match, i) => [match[1], text.slice(match.index, starts[i + 1]?.index)]))
}

const opcodes = (text, pattern) => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))].sort()

async function compile(file, architecture) {
  const folder = mkdtempSync(join(tmpdir(), 'hass-cuda-static-'))
  try {
    const cubin = join(folder, 'kernels.cubin')
    const flags = [...nvccFlags, `-arch=sm_${architecture}`, '-Xptxas', '-v', '-keep', '-keep-dir', folder]
    const { stdout, stderr } = await run(nvcc, [...flags, '-cubin', `cuda/${file}`, '-o', cubin], limits)
    const ptx = readFileSync(join(folder, `${basename(file, '.cu')}.ptx`), 'utf8')
    const bodies = split(ptx, /\.entry\s+(\w+)\s*\(/g)
    const code = hasNvdisasm ? (await run(nvdisasm, ['-c', cubin], limits)).stdout : ''
    const sections = split(code, /^\.text\.(\w+):/gm)
    const found = [
      ...`${stdout}${stderr}`.matchAll(
        /Function properties for (\S+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s+ptxas info\s+: Used (\d+) registers/g,
      ),
    ]
    const names = readableNames(found.map(([, symbol]) => symbol))
    return found.map(([, symbol, stack, stores, loads, registers], i) => {
      const body = bodies.get(symbol) ?? ''
      return {
        name: names[i],
        file,
        architecture,
        registers: Number(registers),
        localBytes: Number(stack),
        spilledBytes: Number(stores) + Number(loads),
        ptx: [
          ...opcodes(body, /^\s*(?:@!?%p\d+\s+)?([a-z][\w.:]*)\s/gm),
          ...(/\.local\b/.test(body) ? ['.local'] : []),
        ],
        machineCode: opcodes(sections.get(symbol) ?? '', /^\s*\/\*[0-9a-f]+\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)/gm),
      }
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * What the compiler makes of a file's kernels for an architecture, such as 80: registers, bytes of local memory, and the
 * names of instructions in PTX and, with nvdisasm, in machine code. Remembered in `.cache/` as long as no source changes.
 */
export async function compiledKernels(file, architecture) {
  const path = join(cache, `${file}-${architecture}-${fingerprint(file, architecture)}.json`)
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    const kernels = await compile(file, architecture)
    mkdirSync(cache, { recursive: true })
    writeFileSync(path, JSON.stringify(kernels))
    return kernels
  }
}
