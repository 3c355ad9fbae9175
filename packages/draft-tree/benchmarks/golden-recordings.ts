import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { TinyTarget } from '../../../test/support/tiny-llama.js'
import { recordHead } from '../test/recorded-head.js'
import type { Recording } from './simulation.js'

/** The golden heads over the texts of the golden greedy traces, each head and text once. */
export function goldenRecordings(): Recording[] {
  const targets = new Map<string, TinyTarget>()
  const recordings = new Map<string, Recording>()
  for (const file of listGolden('traces', /\.greedy\..*\.json$/)) {
    const { target: name, head, prompt, output } = readGoldenJson('traces', file)
    const target = targets.get(name) ?? new TinyTarget(name)
    targets.set(name, target)
    const text = [...prompt, ...output]
    recordings.set(`${head} ${text}`, recordHead(head, target, text, prompt.length))
  }
  return [...recordings.values()]
}
