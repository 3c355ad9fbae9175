import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import type { BenchmarkEnvironment } from './records.js'

/** This machine as it is now. */
export function readEnvironment(facts: Readonly<Record<string, unknown>> = {}): BenchmarkEnvironment {
  return {
    startedAt: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
    loadAverage: loadavg(),
    ...facts,
  }
}
