import { checkNumber, type Token } from '@hass-engine/core'
import type { ChoiceContext, LogitsProcessor } from './processor.js'

/**
 * Says which tokens may come next: bit `token & 31` of word `token >> 5` is 1 for an allowed token, tokens beyond the
 * last word are not allowed; undefined allows all.
 */
export type TokenMask = (context: ChoiceContext) => Uint32Array | Int32Array | undefined

/** Adds a number to the logits of some tokens. */
export function logitBias(biases: Readonly<Record<number, number>>): LogitsProcessor {
  const entries = Object.entries(biases).map(([token, bias]) => [Number(token), bias] as const)
  return {
    name: 'logitBias',
    process(logits) {
      for (const [token, bias] of entries) logits[checkToken(token, logits, 'logitBias')]! += bias
    },
  }
}

/** Removes tokens everywhere. */
export function bannedTokens(tokens: readonly Token[]): LogitsProcessor {
  return {
    name: 'bannedTokens',
    process(logits) {
      for (const token of tokens) logits[checkToken(token, logits, 'bannedTokens')] = -Infinity
    },
  }
}

/** Removes the stop tokens until `count` tokens stand after the prompt. */
export function minTokens(count: number, stopTokens: readonly Token[], promptLength: number): LogitsProcessor {
  return {
    name: 'minTokens',
    process(logits, { position }) {
      if (position - promptLength >= count) return
      for (const token of stopTokens) logits[checkToken(token, logits, 'stopTokens')] = -Infinity
    },
  }
}

/** Makes the token of a step certain, step 0 being the first after the prompt. */
export function forcedTokens(tokens: Readonly<Record<number, Token>>, promptLength: number): LogitsProcessor {
  const tokenOfStep = new Map(Object.entries(tokens).map(([step, token]) => [Number(step), token]))
  return {
    name: 'forcedTokens',
    process(logits, { position }) {
      const token = tokenOfStep.get(position - promptLength)
      if (token === undefined) return
      checkToken(token, logits, 'forcedTokens')
      logits.fill(-Infinity)
      logits[token] = 0
    },
  }
}

/** Removes what a caller's mask does not allow. */
export function mask(allowed: TokenMask): LogitsProcessor {
  return {
    name: 'mask',
    process(logits, context) {
      const bits = allowed(context)
      if (!bits) return
      for (let i = 0; i < logits.length; i++) {
        if (((bits[i >>> 5] ?? 0) & (1 << (i & 31))) === 0) logits[i] = -Infinity
      }
    },
  }
}

// Only here is the vocabulary's size known; beyond it a write to the row would be lost in silence.
function checkToken(token: Token, logits: Float64Array, option: string): Token {
  return checkNumber(token, `A token of ${option}`, { min: 0, below: logits.length, isInteger: true })
}
