import type { Divergence } from './compare-outputs.js'
import type { BenchmarkEnvironment, BenchmarkSettings } from './records.js'
import type { Estimate } from './statistics.js'

/** The median, and what nineteen of twenty stay below. */
export interface Percentiles {
  readonly p50: number
  readonly p95: number
}

/** One subject on one data set at one temperature. Rates are per second, times milliseconds. */
export interface SummaryCell {
  readonly subject: string
  readonly dataSet: string
  readonly temperature: number
  /** Prompts that subject and baseline both answered in whole: only these count in what follows. */
  readonly prompts: number
  readonly failures: readonly { readonly prompt: string; readonly code?: string; readonly message: string }[]
  /** Decoding: tokens after the first one by the time after the first one. */
  readonly throughput: Estimate
  /** Throughput over the baseline's on the same prompts. */
  readonly speedup: Estimate
  /** τ, the mean over questions of emitted tokens per target pass. Absent where passes are not told. */
  readonly tauPerQuestion?: Estimate
  /** τ, all emitted tokens over all target passes. */
  readonly tauPerCycle?: Estimate
  /** From the request to the end of its answer: all tokens by all of the time. */
  readonly endToEnd: { readonly throughput: Estimate; readonly speedup: Estimate; readonly ms: Percentiles }
  /** Reading prompts, what came from a cache excluded. Absent where it is not told. */
  readonly prefill?: { readonly promptTokensPerSecond: number; readonly ms: Percentiles }
  readonly firstTokenMs?: Percentiles
  readonly msPerToken: Percentiles
  /** By depth d ≥ 1 at index d − 1, of all cycles. */
  readonly depths?: readonly DepthAcceptance[]
  /** `[tokens]` share of cycles that emitted so many, 1 at index 0, the last cycle of a text counted in whole. */
  readonly tokensPerCycle?: readonly number[]
  /** Shares of decoding; absent where they are not told. */
  readonly time?: { readonly draft: number; readonly verify: number; readonly other: number }
  /** Share of outputs that end in a loop (`isLooping`). Absent where tokens are not told. */
  readonly loopingShare?: number
  /** Outputs that are the baseline's, token for token. */
  readonly identical: { readonly prompts: number; readonly first?: Divergence }
  readonly outputSha256: string
}

export interface DepthAcceptance {
  /** Share of cycles whose tree reached the depth. */
  readonly drafted: number
  /** Share of cycles that accepted a node there. */
  readonly accepted: number
  /** Of the cycles that accepted a node above it, the share that accepted one here. */
  readonly rate: number
}

/** Means over data sets, each with the same weight, as the papers have them. */
export interface SummaryMean {
  readonly subject: string
  readonly temperature: number
  readonly throughput: Estimate
  readonly speedup: Estimate
  readonly tauPerQuestion?: Estimate
  readonly tauPerCycle?: Estimate
}

export interface BenchmarkSummary {
  readonly settings: BenchmarkSettings
  readonly environments: readonly BenchmarkEnvironment[]
  /** By temperature, subject, data set; combinations of which nothing was measured are missing. */
  readonly cells: readonly SummaryCell[]
  readonly means: readonly SummaryMean[]
}
