import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { largestSharedBytes } from './occupancy.mjs'

const sources = fileURLToPath(new URL('../../cuda/', import.meta.url))

/** Instructions that a kernel is made for: in PTX, and in machine code. */
const asyncCopy = [/^cp\.async\.c/, /^LDGSTS/]
const meant = {
  quantized_linear: [[/^mma\.sync\.\S*\.s32\.s8\.s8\.s32/, /^IMMA/], asyncCopy],
  float_linear: [[/^mma\.sync\.\S*\.f32\.bf16\.bf16\.f32/, /^HMMA.*BF16/], [/^ldmatrix/, /^LDSM/], asyncCopy],
  attention_scores: [asyncCopy],
  attention_values: [asyncCopy],
}

const baseOf = (name) => name.replace(/<.*/, '')

/** "Registers: at most 40. Shared memory: at most 4 KiB" of the comment above each kernel of a file, by its name. */
export function statedCeilings(file) {
  const text = readFileSync(join(sources, file), 'utf8')
  const found = new Map()
  const kernels = /((?:^\/\/.*\n)+)(?:template.*\n?)?\s*__global__ void __launch_bounds__\([^)]*\)\s+(\w+)\(/gm
  for (const [, comment, name] of text.matchAll(kernels)) {
    const registers = /Registers: at most (\d+)\./.exec(comment)?.[1]
    const kib = /Shared memory: at most (\d+) KiB/.exec(comment)?.[1] ?? 0
    if (registers !== undefined) found.set(name, { registers: Number(registers), sharedBytes: kib * 1024 })
  }
  return found
}

/**
 * What is wrong with a compiled kernel, as sentences.
 *
 * @param largest the launch with the largest block; it must be there
 */
export function flawsOf(kernel, ceiling, largest) {
  const base = baseOf(kernel.name)
  const flaws = []
  if (!ceiling) flaws.push('no ceiling is stated beside it')
  if (!largest) flaws.push('no stage that is known here launches it')
  if (kernel.registers > ceiling?.registers)
    flaws.push(`${kernel.registers} registers, ${ceiling.registers} are stated`)
  if (largest?.sharedBytes > ceiling?.sharedBytes) {
    flaws.push(`${largest.sharedBytes} bytes of shared memory, ${ceiling.sharedBytes} are stated`)
  }
  if (largest?.sharedBytes > largestSharedBytes)
    flaws.push(`${largest.sharedBytes} bytes of shared memory are too many`)
  if (kernel.spilledBytes > 0) flaws.push(`${kernel.spilledBytes} bytes are spilled`)
  if (kernel.localBytes > 0) flaws.push(`${kernel.localBytes} bytes of local memory`)
  if (kernel.ptx.length === 0) flaws.push('its PTX was not found')
  if (kernel.ptx.some((code) => /^(ld|st)\.local|^\.local/.test(code))) flaws.push('local memory in its PTX')
  if (kernel.machineCode.some((code) => /^(LDL|STL)\b/.test(code))) flaws.push('local memory in its machine code')
  for (const [inPtx, inMachineCode] of meant[base] ?? []) {
    if (!kernel.ptx.some((code) => inPtx.test(code))) flaws.push(`lacks ${inPtx.source} in PTX`)
    if (kernel.machineCode.length > 0 && !kernel.machineCode.some((code) => inMachineCode.test(code))) {
      flaws.push(`lacks ${inMachineCode.source} in machine code`)
    }
  }
  return flaws.map((flaw) => `${kernel.name} on sm_${kernel.architecture}: ${flaw}`)
}

export const ceilingOf = (ceilings, kernel) => ceilings.get(baseOf(kernel.name))
