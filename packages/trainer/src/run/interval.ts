import { checkNumber, checkOptionKeys } from '@hass-engine/core'

/** How often something is done: by the clock, or by optimizer steps. */
export type Interval = { readonly minutes: number } | { readonly steps: number }

/** Says when an interval is over; `restart` begins the next one. */
export class IntervalTimer {
  readonly #interval: Interval
  #startStep: number
  #startMs = performance.now()

  /** @throws InvalidArgumentError */
  constructor(interval: Interval, name: string, step: number) {
    checkOptionKeys(interval, ['minutes', 'steps'], name)
    if ('steps' in interval) checkNumber(interval.steps, `${name}.steps`, { min: 1, isInteger: true })
    else checkNumber(interval.minutes, `${name}.minutes`, { above: 0 })
    this.#interval = interval
    this.#startStep = step
  }

  isOver(step: number): boolean {
    if ('steps' in this.#interval) return step - this.#startStep >= this.#interval.steps
    return performance.now() - this.#startMs >= this.#interval.minutes * 60_000
  }

  restart(step: number): void {
    this.#startStep = step
    this.#startMs = performance.now()
  }
}
