import type { BenchmarkProgress } from '@hass-engine/bench'
import { SingleBar } from 'cli-progress'
import type { Terminal } from '../terminal.js'

/** Shows how far a benchmark is and how long it will take yet: a bar on a terminal, else a line for each data set. */
export interface ProgressBar {
  show(progress: BenchmarkProgress): void
  stop(): void
}

export function createProgressBar({ errors }: Terminal): ProgressBar {
  let place = ''
  if (!errors.isTTY) {
    return {
      show({ dataSet, temperature, done, total }) {
        const next = `T=${temperature} ${dataSet}`
        if (next !== place && done < total) errors.write(`${next}: ${done} of ${total} prompts are done\n`)
        place = next
      },
      stop() {},
    }
  }
  const bar = new SingleBar({
    stream: errors as NodeJS.WritableStream,
    format: '{bar} {value}/{total} prompts · {left} · {place}',
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
  })
  let hasBegun = false
  return {
    show({ dataSet, temperature, done, total, remainingMs }) {
      const shown = { left: timeLeft(remainingMs), place: `T=${temperature} ${dataSet}` }
      if (!hasBegun) bar.start(total, done, shown)
      else bar.update(done, shown)
      hasBegun = true
    },
    stop() {
      if (hasBegun) bar.stop()
    },
  }
}

/** Rounded, since nobody knows better: `1 h 5 min left`, `3 min left`, `20 s left`. */
export function timeLeft(ms: number | undefined): string {
  if (ms === undefined) return 'time left unknown'
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds} s left`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`
}
