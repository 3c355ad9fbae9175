import { html, lineChart, type ReportSection, renderPage, type Series, table } from '@hass-engine/report'
import { writeAtomically } from '@hass-engine/weights'
import type { EvaluatedEvent, FinishEvent, PhaseStartEvent, RunStartEvent, StepEndEvent } from '../run/events.js'
import { type LogLine, readLog } from '../run/run-log.js'
import { runPlaces } from '../run/run-places.js'

/**
 * Writes a run's `report.html` from its log: losses, accuracies, learning rate, τ, throughput, settings and data.
 *
 * @param folder of the run
 */
export async function writeRunReport(folder: string): Promise<void> {
  const { log, report } = runPlaces(folder)
  const page = Buffer.from(renderRunReport(await readLog(log)))
  await writeAtomically([{ path: report, write: (append) => append(page) }])
}

/** The page that `writeRunReport` writes. */
export function renderRunReport(lines: readonly LogLine[]): string {
  const log = readLines(lines)
  const last = log.steps.at(-1)
  const best = log.evaluations.findLast(({ isBest }) => isBest)
  const failure = lines.at(-1)?.type === 'failure' ? (lines.at(-1)!.error as { message: string }) : undefined
  const first = lines[0]
  return renderPage({
    title: 'Training of a draft head',
    subtitle: html`${first && `begun ${dateOf(first)}`}${lines.at(-1) && ` · last event ${dateOf(lines.at(-1)!)}`}${failure && ` · stopped: ${failure.message}`}`,
    highlights: [
      { label: 'optimizer steps', value: `${last?.step ?? 0} of ${log.start?.totalSteps ?? '?'}` },
      ...(best
        ? [
            {
              label: 'τ, held out',
              value: best.evaluation.acceptanceLength.toFixed(3),
              note: `best head, of step ${best.step}`,
            },
          ]
        : []),
      ...(last
        ? [
            {
              label: 'loss',
              value: meanOfLast(log.steps, ({ losses }) => losses.at(-1)!.total).toFixed(3),
              note: recent,
            },
            {
              label: 'accuracy',
              value: percent(meanOfLast(log.steps, ({ losses }) => losses[0]!.accuracy)),
              note: `first alignment step, ${recent}`,
            },
            {
              label: 'positions a second',
              value: throughput(log.steps.slice(-recentSteps)).toFixed(0),
              note: `that count, ${recent}`,
            },
          ]
        : []),
    ],
    sections: [losses(log), progress(log), evaluations(log), settings(log)].filter(({ body }) => body.length > 0),
  })
}

/** A log by what its lines are. */
interface RunLines {
  readonly start: RunStartEvent | undefined
  readonly sittings: number
  readonly phases: readonly PhaseStartEvent[]
  readonly steps: readonly StepEndEvent[]
  readonly evaluations: readonly EvaluatedEvent[]
  readonly finish: FinishEvent | undefined
}

const recentSteps = 100
const recent = `mean of the last ${recentSteps} steps`

function readLines(lines: readonly LogLine[]): RunLines {
  const of = <Event>(type: string) => lines.filter((line) => line.type === type) as unknown as Event[]
  const starts = of<RunStartEvent>('run-start')
  const phases = of<PhaseStartEvent>('phase-start')
  return {
    start: starts.at(-1),
    sittings: starts.length,
    // A phase that was resumed has begun several times.
    phases: phases.filter(({ phase }, index) => phases.findIndex((other) => other.phase === phase) === index),
    steps: of<StepEndEvent>('step-end'),
    evaluations: of<EvaluatedEvent>('evaluated'),
    finish: of<FinishEvent>('finish').at(-1),
  }
}

function losses({ steps, phases }: RunLines): ReportSection {
  const marks = marksOf(phases)
  const chart = (
    title: string,
    pick: (losses: StepEndEvent['losses'][number]) => number,
    yScale: 'linear' | 'log' = 'log',
  ) => lineChart({ title, xLabel: 'step', yScale, series: byAlignmentStep(steps, pick), marks })
  return {
    heading: 'Losses',
    note: 'Means over the masked positions of a step’s batches, by alignment step: the first reads the target’s features, each further one what the one before predicted.',
    body:
      steps.length === 0
        ? []
        : [
            chart('total, as weighted', ({ total }) => total),
            chart('feature: smooth L1', ({ feature }) => feature),
            chart('token: cross-entropy with the target', ({ token }) => token),
            chart('top-K: cross-entropy of the target’s likeliest', ({ topK }) => topK),
            chart('accuracy: same likeliest token as the target', ({ accuracy }) => accuracy, 'linear'),
          ],
  }
}

function progress({ steps, phases }: RunLines): ReportSection {
  const marks = marksOf(phases)
  const chart = (title: string, pick: (step: StepEndEvent) => number) =>
    lineChart({
      title,
      xLabel: 'step',
      fromZero: true,
      series: [{ name: title, points: steps.map((step) => [step.step, pick(step)]) }],
      marks,
    })
  return {
    heading: 'Optimizer and throughput',
    body:
      steps.length === 0
        ? []
        : [
            chart('learning rate', ({ learningRate }) => learningRate),
            chart('norm of the gradient, before it is clipped', ({ gradientNorm }) => gradientNorm),
            chart('share of elements that were clipped', ({ clippedShare }) => clippedShare),
            chart('positions a second that count in the losses', (step) => throughput([step])),
          ],
  }
}

function evaluations({ evaluations: events, phases }: RunLines): ReportSection {
  const figures = [...new Set(events.flatMap(({ evaluation }) => Object.keys(evaluation)))]
  if (events.length === 0) return { heading: 'Acceptance', body: [] }
  return {
    heading: 'Acceptance length τ on held-out responses',
    note: 'Emitted tokens per pass of the target, with the trees that training measures with; the head with the highest is kept.',
    body: [
      lineChart({
        title: 'τ',
        xLabel: 'step',
        series: figures.map((figure) => ({
          name: figureNames[figure] ?? figure,
          points: events.map(({ step, evaluation }) => [step, evaluation[figure] ?? Number.NaN]),
        })),
        marks: marksOf(phases),
      }),
      table({
        columns: ['step', ...figures.map((figure) => figureNames[figure] ?? figure), 'best so far'],
        rows: events.map(({ step, evaluation, isBest }) => [
          step,
          ...figures.map((figure) => evaluation[figure]?.toFixed(3) ?? ''),
          isBest ? 'yes' : '',
        ]),
      }),
    ],
  }
}

const figureNames: Readonly<Record<string, string>> = {
  acceptanceLength: 'greedy',
  sampledCoupled: 'temperature 1, coupled',
}

function settings({ start, sittings, finish }: RunLines): ReportSection {
  if (!start) return { heading: 'Settings', body: [] }
  const { phases, ...plan } = start.plan
  const elapsed = finish ? [['hours, all sittings', (finish.elapsedMs / 3_600_000).toFixed(2)]] : []
  return {
    heading: 'Settings and data',
    body: [
      table({
        title: 'Phases',
        columns: ['phase', 'steps', 'alignment steps', 'learning rate', 'schedule', 'batches a step', 'loss weights'],
        rows: phases.map(({ name, steps, alignmentSteps, learningRate, schedule, accumulation, weights }) => [
          name,
          steps,
          alignmentSteps,
          learningRate.toExponential(),
          schedule,
          accumulation,
          `feature ${weights.feature}, token ${weights.token}, top-K ${weights.topK}`,
        ]),
      }),
      table({
        title: 'Settings',
        columns: ['setting', 'value'],
        rows: Object.entries({ ...plan, ...start.settings }).map(([name, value]) => [name, shown(value)]),
      }),
      table({
        title: 'Data and run',
        columns: ['fact', 'value'],
        rows: [
          ...Object.entries(start.facts ?? {}).map(([name, value]) => [name, shown(value)]),
          ['sittings', String(sittings)],
          ...elapsed,
        ],
      }),
    ],
  }
}

function byAlignmentStep(
  steps: readonly StepEndEvent[],
  pick: (losses: StepEndEvent['losses'][number]) => number,
): Series[] {
  const most = Math.max(...steps.map((step) => step.losses.length))
  return Array.from({ length: most }, (_, index) => ({
    name: `alignment step ${index + 1}`,
    points: steps.flatMap(({ step, losses }) => (losses[index] ? [[step, pick(losses[index])] as const] : [])),
  }))
}

function marksOf(phases: readonly PhaseStartEvent[]) {
  return phases.length < 2 ? [] : phases.map(({ step, name }) => ({ x: step, label: name }))
}

function meanOfLast(steps: readonly StepEndEvent[], pick: (step: StepEndEvent) => number): number {
  const last = steps.slice(-recentSteps)
  return last.reduce((sum, step) => sum + pick(step), 0) / last.length
}

function throughput(steps: readonly StepEndEvent[]): number {
  const ms = steps.reduce((sum, step) => sum + step.ms, 0)
  return (1000 * steps.reduce((sum, step) => sum + step.maskedRows, 0)) / ms
}

function shown(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value).replaceAll(',', ', ').replaceAll('"', '') : String(value)
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

function dateOf({ time }: LogLine): string {
  return time.slice(0, 16).replace('T', ' ')
}
