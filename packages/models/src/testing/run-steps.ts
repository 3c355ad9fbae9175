import type { Token } from '@hass-engine/core'
import type { DeviceTargetModel } from '../target-model.js'
import type { DeviceSequence } from '../target-sequence.js'

export const chainParents = (rows: number) => Int32Array.from({ length: rows }, (_, row) => row - 1)

export const range = (count: number) => Array.from({ length: count }, (_, i) => i)

/** Reads a text into a new sequence, all rows committed. */
export async function prefill(model: DeviceTargetModel, tokens: ArrayLike<Token>) {
  const sequence = model.createSequence()
  const output = await appendTo(model, sequence, tokens)
  return { sequence, output }
}

/** One step of a chain, committed. */
export async function appendTo(model: DeviceTargetModel, sequence: DeviceSequence, tokens: ArrayLike<Token>) {
  const [output] = await model.forward([
    { sequence, tokens: Uint32Array.from(tokens), parents: chainParents(tokens.length) },
  ])
  sequence.commit(range(tokens.length))
  return output!
}

/** Decodes the most probable tokens one at a time. */
export async function decodeGreedily(model: DeviceTargetModel, prompt: ArrayLike<Token>, count: number) {
  const { sequence, output } = await prefill(model, prompt)
  const tokens = [await output.logits.argMax(prompt.length - 1)]
  while (tokens.length < count) {
    const { logits } = await appendTo(model, sequence, [tokens.at(-1)!])
    tokens.push(await logits.argMax(0))
  }
  sequence.dispose()
  return tokens
}
