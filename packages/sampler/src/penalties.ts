import type { Token } from '@hass-engine/core'
import type { ChoiceContext, LogitsProcessor } from './processor.js'

/**
 * Divides the logits of tokens that have occurred, in prompt or text, by `penalty` where they are positive and
 * multiplies them where they are negative (CTRL, arXiv 1909.05858, section 4.1).
 */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  const forEachCount = createTokenCounter()
  return {
    name: 'repetitionPenalty',
    process(logits, context) {
      forEachCount(context, 0, logits.length, (token) => {
        const logit = logits[token]!
        logits[token] = logit > 0 ? logit / penalty : logit * penalty
      })
    },
  }
}

/** Subtracts `penalty` from the logits of tokens that occur from position `from` on. */
export function presencePenalty(penalty: number, from: number): LogitsProcessor {
  const forEachCount = createTokenCounter()
  return {
    name: 'presencePenalty',
    process(logits, context) {
      forEachCount(context, from, logits.length, (token) => {
        logits[token]! -= penalty
      })
    },
  }
}

/** Subtracts `penalty` from the logits of tokens once for each time that they occur from position `from` on. */
export function frequencyPenalty(penalty: number, from: number): LogitsProcessor {
  const forEachCount = createTokenCounter()
  return {
    name: 'frequencyPenalty',
    process(logits, context) {
      forEachCount(context, from, logits.length, (token, count) => {
        logits[token]! -= penalty * count
      })
    },
  }
}

type CountVisitor = (token: Token, count: number) => void

/** Visits each distinct token of history and path from a position on, with its count; foreign ids are passed over. */
function createTokenCounter() {
  let counts = new Uint32Array(0)
  return ({ history, path }: ChoiceContext, from: number, vocabSize: number, visit: CountVisitor): void => {
    if (counts.length !== vocabSize) counts = new Uint32Array(vocabSize)
    const end = history.length + path.length
    const tokenAt = (i: number) => (i < history.length ? history[i]! : path[i - history.length]!)
    for (let i = from; i < end; i++) counts[tokenAt(i)]!++
    for (let i = from; i < end; i++) {
      const token = tokenAt(i)
      const count = counts[token]
      if (!count) continue
      visit(token, count)
      counts[token] = 0
    }
  }
}
