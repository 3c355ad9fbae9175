import { cpus } from 'node:os'
import { type CudaFacts, type DoctorFacts, doctor, openDevice } from '@hass-engine/kernels'
import type { Command } from 'commander'
import { formatTable, toJson } from '../format.js'
import { parseNumber } from '../options.js'
import { type Terminal, write } from '../terminal.js'

interface DoctorFlags {
  readonly json?: true
  readonly threads?: number
  readonly measure: boolean
}

export function addDoctor(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description('what this machine and installation can do')
    .option('--json', 'print one JSON object')
    .option('-t, --threads <count>', 'measure with so many threads (default: the cores)', parseNumber)
    .option('--no-measure', 'leave out bandwidth and rates')
    .action((flags: DoctorFlags) => examine(flags, terminal))
}

async function examine({ json, threads, measure }: DoctorFlags, { output }: Terminal): Promise<void> {
  const found = await doctor({ measure, ...(threads !== undefined && { threads }) })
  await using device = openDevice()
  const facts = {
    node: process.versions.node,
    processor: cpus()[0]?.model ?? 'unknown',
    isa: device.facts.isa,
    device: device.kind,
    ...found,
  }
  await write(output, json ? toJson(asData(facts)) : `${formatFacts(facts)}\n`)
}

interface Facts extends DoctorFacts {
  readonly node: string
  readonly processor: string
  /** The instruction set that a device takes by itself. */
  readonly isa: string
  /** What computes where nothing else is asked for: `cpu`, or `reference` where the addon cannot be loaded. */
  readonly device: string
}

/** An error is no data by itself: what it says is. */
function asData({ addonError, cuda, ...facts }: Facts) {
  const { error: cudaError, ...cudaFacts } = cuda ?? {}
  return {
    ...facts,
    ...(addonError && { addonError: { code: addonError.code, ...addonError.details } }),
    ...(cuda && {
      cuda: { ...cudaFacts, ...(cudaError && { error: { code: cudaError.code, ...cudaError.details } }) },
    }),
  }
}

function cudaRows({ libraryPath, isa, gpu, error }: CudaFacts): [string, string][] {
  const lacks = error && `no ${String(error.details.lacks)}: ${error.message.split('\n')[0]}`
  return [
    ['CUDA device', lacks ?? `${gpu?.name ?? 'unknown'} (${isa})`],
    ...(gpu
      ? ([
          ['CUDA driver', `up to CUDA ${Math.floor(gpu.driver / 1000)}.${(gpu.driver % 1000) / 10}`],
          ['GPU memory', `${(gpu.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
        ] satisfies [string, string][])
      : []),
    ...(libraryPath ? ([['CUDA library', libraryPath]] satisfies [string, string][]) : []),
  ]
}

function formatFacts(facts: Facts): string {
  const { rates, addonError, cuda } = facts
  const rows = [
    ['Node', facts.node],
    ['platform', facts.platform],
    ['processor', facts.processor],
    ['features', facts.features.join(' ') || 'unknown'],
    ['threads', String(facts.threads)],
    ['device', facts.device],
    ['addon', facts.addonPath ?? 'not found: the slow reference computes'],
    ['instruction sets', facts.isas.map((isa) => (isa === facts.isa ? `${isa} (chosen)` : isa)).join(' ') || facts.isa],
    ...(cuda ? cudaRows(cuda) : []),
    ...(rates
      ? [
          ['read bandwidth', `${rates.readGBs.toFixed(1)} GB/s`],
          ['8-bit weights', `${rates.int8GMACs.toFixed(1)} GMAC/s`],
          ['4-bit weights', `${rates.q4GMACs.toFixed(1)} GMAC/s`],
          ['float32', `${rates.fp32GMACs.toFixed(1)} GMAC/s`],
          ['parallel region', `${rates.dispatchUs.toFixed(1)} µs`],
        ]
      : []),
  ]
  return [formatTable(rows), ...(addonError ? ['', addonError.message] : [])].join('\n')
}
