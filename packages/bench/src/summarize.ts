import { type Divergence, firstDivergence, outputsDigest } from './compare-outputs.js'
import type { BenchmarkResults, PromptRecord, RunRecord, TurnRecord } from './records.js'
import { isLooping } from './repetition.js'
import { type BootstrapOptions, bootstrap, type Estimate, mean, percentile } from './statistics.js'
import type { BenchmarkSummary, DepthAcceptance, Percentiles, SummaryCell, SummaryMean } from './summary.js'

/** One question as answered by a subject and by the baseline. */
interface Pair {
  readonly prompt: string
  readonly run: RunRecord
  readonly baseline: RunRecord
}

/** A figure of some questions: `questions` may hold one several times. */
type Statistic = (questions: readonly Pair[]) => number

/** The figures of the tables, by name. */
const statistics = {
  throughput: (pairs) => decodeRate(pairs, ({ run }) => run),
  speedup: (pairs) => decodeRate(pairs, ({ run }) => run) / decodeRate(pairs, ({ baseline }) => baseline),
  tauPerQuestion: (pairs) => mean(pairs.map((pair) => tau([pair]))),
  tauPerCycle: tau,
  wholeThroughput: (pairs) => wholeRate(pairs, ({ run }) => run),
  wholeSpeedup: (pairs) => wholeRate(pairs, ({ run }) => run) / wholeRate(pairs, ({ baseline }) => baseline),
} satisfies Record<string, Statistic>

/** Makes figures of results, finished or not. */
export function summarize(results: BenchmarkResults, options: BootstrapOptions = {}): BenchmarkSummary {
  const { settings, environments } = results
  const groups = settings.temperatures.flatMap((temperature) =>
    settings.subjects.map(({ name }) => {
      const sets = settings.dataSets.flatMap(({ name: dataSet }) => {
        const records = inOrder(results.prompts, dataSet, temperature)
        const pairs = pairsOf(records, name, settings.baseline)
        return records.some(({ runs }) => runs.some(({ subject }) => subject === name))
          ? [{ dataSet, records, pairs }]
          : []
      })
      return { subject: name, temperature, sets }
    }),
  )
  return {
    settings,
    environments,
    cells: groups.flatMap(({ sets, ...row }) => sets.map((set) => cellOf({ ...row, ...set }, options))),
    means: groups.flatMap(({ sets, ...row }) => {
      const answered = sets.map(({ pairs }) => pairs).filter((pairs) => pairs.length > 0)
      return answered.length > 0 ? [meanOf(row, answered, options)] : []
    }),
  }
}

function inOrder(prompts: readonly PromptRecord[], dataSet: string, temperature: number): PromptRecord[] {
  return prompts
    .filter((record) => record.dataSet === dataSet && record.temperature === temperature)
    .sort((a, b) => a.seed - b.seed)
}

function pairsOf(records: readonly PromptRecord[], subject: string, baselineName: string): Pair[] {
  return records.flatMap(({ prompt, runs }) => {
    const run = runs.find((one) => one.subject === subject)
    const baseline = runs.find((one) => one.subject === baselineName)
    return run && baseline && !run.failure && !baseline.failure ? [{ prompt, run, baseline }] : []
  })
}

interface Place {
  readonly subject: string
  readonly temperature: number
  readonly dataSet: string
  readonly records: readonly PromptRecord[]
  readonly pairs: readonly Pair[]
}

function cellOf({ records, pairs, ...place }: Place, options: BootstrapOptions): SummaryCell {
  const turns = pairs.flatMap(({ run }) => run.turns)
  const estimate = (statistic: Statistic) => estimateOf([pairs], statistic, options)
  const runs = records.flatMap((record) => record.runs.filter(({ subject }) => subject === place.subject))
  return {
    ...place,
    prompts: pairs.length,
    failures: records.flatMap(({ prompt, runs: all }) => {
      const failure = all.find(({ subject }) => subject === place.subject)?.failure
      return failure ? [{ prompt, ...(failure.code && { code: failure.code }), message: failure.message }] : []
    }),
    throughput: estimate(statistics.throughput),
    speedup: estimate(statistics.speedup),
    ...tauOf(turns, estimate),
    endToEnd: {
      throughput: estimate(statistics.wholeThroughput),
      speedup: estimate(statistics.wholeSpeedup),
      ms: percentiles(turns.map(({ timings }) => timings.totalMs)),
    },
    ...latencies(turns),
    msPerToken: percentiles(
      turns.flatMap(({ timings, decodedTokens }) => (decodedTokens > 0 ? [timings.decodeMs / decodedTokens] : [])),
    ),
    ...cyclesOf(turns),
    ...loopingOf(turns),
    identical: identityOf(pairs),
    outputSha256: outputsDigest(runs),
  }
}

function meanOf(
  row: { subject: string; temperature: number },
  groups: readonly (readonly Pair[])[],
  options: BootstrapOptions,
): SummaryMean {
  const turns = groups.flat().flatMap(({ run }) => run.turns)
  const estimate = (statistic: Statistic) => estimateOf(groups, statistic, options)
  return {
    ...row,
    throughput: estimate(statistics.throughput),
    speedup: estimate(statistics.speedup),
    ...tauOf(turns, estimate),
  }
}

/** The mean over groups of a statistic, questions resampled within their groups. */
function estimateOf(groups: readonly (readonly Pair[])[], statistic: Statistic, options: BootstrapOptions): Estimate {
  if (groups.some((pairs) => pairs.length === 0)) return { value: Number.NaN, low: Number.NaN, high: Number.NaN }
  return bootstrap(
    groups.map((pairs) => pairs.length),
    (indices) => mean(indices.map((chosen, group) => statistic(Array.from(chosen, (i) => groups[group]![i]!)))),
    options,
  )
}

function decodeRate(pairs: readonly Pair[], runOf: (pair: Pair) => RunRecord): number {
  const turns = pairs.flatMap((pair) => runOf(pair).turns)
  return (1000 * sum(turns, (turn) => turn.decodedTokens)) / sum(turns, ({ timings }) => timings.decodeMs)
}

function wholeRate(pairs: readonly Pair[], runOf: (pair: Pair) => RunRecord): number {
  const turns = pairs.flatMap((pair) => runOf(pair).turns)
  return (1000 * sum(turns, (turn) => turn.completionTokens)) / sum(turns, ({ timings }) => timings.totalMs)
}

function tau(pairs: readonly Pair[]): number {
  const turns = pairs.flatMap(({ run }) => run.turns)
  const calls = sum(turns, ({ speculation }) => speculation!.targetCalls)
  // An answer of one token, which the prefill chose, had no cycle: it says nothing, and plain decoding's 1 is neutral.
  return calls === 0 ? 1 : sum(turns, ({ speculation }) => speculation!.emitted) / calls
}

function tauOf(turns: readonly TurnRecord[], estimate: (statistic: Statistic) => Estimate) {
  if (!turns.every(({ speculation }) => speculation) || turns.length === 0) return {}
  return { tauPerQuestion: estimate(statistics.tauPerQuestion), tauPerCycle: estimate(statistics.tauPerCycle) }
}

function latencies(turns: readonly TurnRecord[]): Pick<SummaryCell, 'prefill' | 'firstTokenMs'> {
  const first = turns.flatMap(({ timings }) => timings.firstTokenMs ?? [])
  const prefill = turns.flatMap(({ timings }) => timings.prefillMs ?? [])
  const read = sum(turns, ({ promptTokens, cachedTokens }) => promptTokens - cachedTokens)
  return {
    ...(prefill.length === turns.length && {
      prefill: { promptTokensPerSecond: (1000 * read) / sum(prefill, (ms) => ms), ms: percentiles(prefill) },
    }),
    ...(first.length === turns.length && { firstTokenMs: percentiles(first) }),
  }
}

function cyclesOf(turns: readonly TurnRecord[]): Pick<SummaryCell, 'depths' | 'tokensPerCycle' | 'time'> {
  const told = turns.flatMap(({ speculation }) => speculation ?? [])
  const cycles = sum(told, ({ targetCalls }) => targetCalls)
  if (told.length < turns.length || cycles === 0) return {}
  const deepest = told.reduce((most, { depths }) => Math.max(most, depths.length), 0)
  const at = (depth: number) => ({
    drafted: sum(told, ({ depths }) => depths[depth - 1]?.drafted ?? 0),
    accepted: depth === 0 ? cycles : sum(told, ({ depths }) => depths[depth - 1]?.accepted ?? 0),
  })
  const depths = Array.from({ length: deepest }, (_, i): DepthAcceptance => {
    const { drafted, accepted } = at(i + 1)
    const above = at(i).accepted
    return { drafted: drafted / cycles, accepted: accepted / cycles, rate: above === 0 ? 0 : accepted / above }
  })
  // A cycle that accepted d nodes emits one token more.
  const tokensPerCycle = [1, ...depths.map(({ accepted }) => accepted)].map(
    (share, accepted) => share - (depths[accepted]?.accepted ?? 0),
  )
  return { depths, tokensPerCycle, ...timeOf(told) }
}

function timeOf(told: readonly NonNullable<TurnRecord['speculation']>[]): Pick<SummaryCell, 'time'> {
  if (!told.every(({ verifyMs }) => verifyMs !== undefined)) return {}
  const [draft, verify, other] = [
    sum(told, ({ draftMs = 0 }) => draftMs),
    sum(told, ({ verifyMs = 0 }) => verifyMs),
    sum(told, ({ otherMs = 0 }) => otherMs),
  ]
  const all = draft + verify + other
  return { time: { draft: draft / all, verify: verify / all, other: other / all } }
}

function loopingOf(turns: readonly TurnRecord[]): Pick<SummaryCell, 'loopingShare'> {
  const outputs = turns.map(({ output }) => output)
  if (outputs.length === 0 || outputs.some((output) => typeof output === 'string')) return {}
  return { loopingShare: mean(outputs.map((output) => (isLooping(output as readonly number[]) ? 1 : 0))) }
}

function identityOf(pairs: readonly Pair[]): SummaryCell['identical'] {
  const divergences = pairs.map(({ prompt, run, baseline }) => firstDivergence(prompt, run, baseline))
  const first = divergences.find((one): one is Divergence => one !== undefined)
  return { prompts: divergences.filter((one) => one === undefined).length, ...(first && { first }) }
}

function percentiles(values: readonly number[]): Percentiles {
  return { p50: percentile(values, 0.5), p95: percentile(values, 0.95) }
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0)
}
