import { TinyHead } from '../../../test/support/tiny-head.js'
import type { TinyTarget } from '../../../test/support/tiny-llama.js'
import type { RecordedRow, Recording } from '../benchmarks/simulation.js'
import { topCandidates } from '../src/index.js'

const width = 10

/**
 * What a golden head proposes along a text that the target wrote: each row is computed when it is first asked for,
 * so policies that ask for the same rows share them.
 */
export function recordHead(name: string, target: TinyTarget, text: readonly number[], start: number): Recording {
  const features = target.features(text)
  const positions = new Map<number, { head: TinyHead; rows: Map<string, number>; recorded: RecordedRow[] }>()

  function at(position: number) {
    let known = positions.get(position)
    if (!known) {
      const head = new TinyHead(name, target)
      const output = head.begin(text.slice(1, position + 1), features.slice(0, position)).at(-1)!
      known = { head, rows: new Map([['', 0]]), recorded: [record(output)] }
      positions.set(position, known)
    }
    return known
  }

  function record(feature: Float32Array): RecordedRow {
    const logits = target.logits(feature)
    return topCandidates({ logits, rows: 1, vocabSize: logits.length, width })
  }

  return {
    text,
    start,
    candidates(position, path) {
      const { head, rows, recorded } = at(position)
      let row = 0
      for (const [i, token] of path.entries()) {
        const key = path.slice(0, i + 1).join(' ')
        let next = rows.get(key)
        if (next === undefined) {
          next = recorded.length
          rows.set(key, next)
          recorded.push(record(head.extend([token], [row])[0]!))
        }
        row = next
      }
      return recorded[row]!
    },
  }
}
