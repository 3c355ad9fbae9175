import type { TrainingEvent } from '@hass-engine/trainer'
import { SingleBar } from 'cli-progress'
import { timeLeft } from '../bench/progress-bar.js'
import type { Terminal } from '../terminal.js'

/** Shows how a training run goes: a bar on a terminal, and a line for what is worth one. */
export interface TrainingProgress {
  show(event: TrainingEvent): void
  stop(): void
}

/** Of so many steps, the mean time says how long the rest will take. */
const recentSteps = 50
/** Without a terminal, a line for so many steps. */
const stepsPerLine = 100

export function createTrainingProgress({ errors }: Terminal): TrainingProgress {
  const bar = errors.isTTY ? createBar(errors) : undefined
  const times: number[] = []
  let total = 0
  const say = (line: string) => {
    // The bar is drawn again with the next step.
    if (bar) errors.write('\r\u001b[K')
    errors.write(`${line}\n`)
  }
  return {
    show(event) {
      if (event.type === 'run-start') total = event.totalSteps
      if (event.type === 'step-end') {
        times.push(event.ms)
        if (times.length > recentSteps) times.shift()
        const perStep = times.reduce((sum, ms) => sum + ms, 0) / times.length
        const left = timeLeft(perStep * (total - event.step))
        const loss = event.losses.at(-1)!.total.toFixed(3)
        if (bar) bar.show(total, event.step, { left, loss, phase: event.phase + 1 })
        else if (event.step % stepsPerLine === 0) say(`step ${event.step} of ${total} · loss ${loss} · ${left}`)
        return
      }
      const line = lineOf(event)
      if (line) say(line)
    },
    stop() {
      bar?.stop()
    },
  }
}

function createBar(stream: Terminal['errors']) {
  const bar = new SingleBar({
    stream: stream as NodeJS.WritableStream,
    format: '{bar} {value}/{total} steps · phase {phase} · loss {loss} · {left}',
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
  })
  let hasBegun = false
  return {
    show(total: number, step: number, shown: object) {
      if (hasBegun) bar.update(step, shown)
      else bar.start(total, step, shown)
      hasBegun = true
    },
    stop() {
      if (hasBegun) bar.stop()
    },
  }
}

/** What an event is worth saying; nothing for those that are not. */
function lineOf(event: TrainingEvent): string | undefined {
  switch (event.type) {
    case 'run-start': {
      const skipped = event.skipped.map(({ message }) => message)
      const begin = event.resumedFrom
        ? `resuming ${event.resumedFrom}, step ${event.step} of ${event.totalSteps}`
        : `beginning ${event.totalSteps} steps`
      return [...skipped, begin].join('\n')
    }
    case 'phase-start':
      return `phase ${event.phase + 1}: ${event.name}`
    case 'evaluated': {
      const { acceptanceLength, ...others } = event.evaluation
      const figures = Object.entries(others).map(([name, value]) => `, ${name} ${value.toFixed(3)}`)
      return `step ${event.step}: τ ${acceptanceLength.toFixed(3)}${figures.join('')}${event.isBest ? ' · the best so far' : ''}`
    }
    case 'checkpoint-failed':
      return event.error.message
    default:
      return undefined
  }
}
