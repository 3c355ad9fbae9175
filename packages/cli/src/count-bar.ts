import { SingleBar } from 'cli-progress'
import { timeLeft } from './bench/progress-bar.js'
import type { Terminal } from './terminal.js'

/** How much of something is done, and how long the rest will take: a bar on a terminal, else a line now and then. */
export interface CountBar {
  /** What was done before the bar began says nothing about how long the rest will take. */
  show(done: number, note?: string): void
  stop(): void
}

/** Without a terminal, a line so often. */
const msPerLine = 10_000

/** @param unit what is counted, in the plural */
export function createCountBar({ errors }: Terminal, total: number, unit: string): CountBar {
  const startedAt = performance.now()
  let first: number | undefined
  let saidAt = startedAt
  const left = (done: number) => {
    const made = done - (first ?? done)
    return timeLeft(made > 0 ? ((performance.now() - startedAt) / made) * (total - done) : undefined)
  }
  const bar = errors.isTTY
    ? new SingleBar({
        stream: errors as NodeJS.WritableStream,
        format: `{bar} {value}/{total} ${unit} · {left}{note}`,
        barCompleteChar: '━',
        barIncompleteChar: '─',
        barsize: 30,
        hideCursor: true,
        clearOnComplete: true,
      })
    : undefined
  return {
    show(done, note) {
      const shown = { left: left(done), note: note ? ` · ${note}` : '' }
      if (bar && first === undefined) bar.start(total, done, shown)
      else bar?.update(done, shown)
      first ??= done
      if (bar || performance.now() - saidAt < msPerLine) return
      saidAt = performance.now()
      errors.write(`${done} of ${total} ${unit} · ${shown.left}${shown.note}\n`)
    },
    stop() {
      if (first !== undefined) bar?.stop()
    },
  }
}
