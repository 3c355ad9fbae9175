import { type ChatMessage, checkNumber, checkOptionKeys, type TreePolicy } from '@hass-engine/core'
import type { Engine } from '@hass-engine/engine'
import { drawPrompt } from '../corpus/prompts.js'
import type { AcceptanceCounts } from './acceptance.js'
import { type EvaluationRow, type EvaluationSetting, summarizeSetting } from './summarize.js'

/** A setting, and what makes its trees: a policy learns, so every setting gets a new one. */
export interface HeadSetting extends EvaluationSetting {
  createPolicy(): TreePolicy
}

export interface EvaluateHeadOptions {
  /** The target with the head. */
  readonly engine: Pick<Engine, 'generateText'>
  readonly prompts: readonly { readonly id: string; readonly messages: readonly ChatMessage[] }[]
  readonly settings: readonly HeadSetting[]
  /** Tokens of a response. Defaults to 128. */
  readonly maxTokens?: number
  readonly signal?: AbortSignal
}

export type EvaluationEvent =
  /** A prompt has been answered under a setting. */
  | { readonly type: 'prompt-end'; readonly id: string; readonly done: number; readonly total: number }
  /** All prompts have been, and this came out. */
  | { readonly type: 'setting-end'; readonly row: EvaluationRow; readonly tokensPerSecond: number }

/**
 * Measures a head by real generation, one text at a time, so that no tree is cut for the sake of another. Each prompt's
 * seed follows from its id: settings that differ in trees alone write the same texts.
 */
export async function* evaluateHead(options: EvaluateHeadOptions): AsyncGenerator<EvaluationEvent, void, undefined> {
  checkOptionKeys(options, ['engine', 'prompts', 'settings', 'maxTokens', 'signal'], 'evaluateHead')
  const { engine, prompts, settings, signal } = options
  const maxTokens = checkNumber(options.maxTokens ?? 128, 'maxTokens', { min: 2, isInteger: true })
  let done = 0
  for (const setting of settings) {
    const { temperature, isCoupled } = setting
    const policy = setting.createPolicy()
    const counts: AcceptanceCounts[] = []
    let [tokens, ms] = [0, 0]
    for (const { id, messages } of prompts) {
      const { seed } = drawPrompt(id, [{ temperature, share: 1 }], '')
      const result = await engine.generateText({
        messages,
        maxTokens,
        temperature,
        seed,
        isCoupled,
        policy,
        ...(signal && { signal }),
      })
      const { targetCalls, depths = [], ...others } = result.speculation!
      counts.push({ ...others, cycles: targetCalls, depths })
      tokens += result.speculation!.emitted
      ms += result.timings.decodeMs ?? 0
      yield { type: 'prompt-end', id, done: ++done, total: prompts.length * settings.length }
    }
    yield { type: 'setting-end', row: summarizeSetting(setting, counts), tokensPerSecond: (1000 * tokens) / ms }
  }
}
