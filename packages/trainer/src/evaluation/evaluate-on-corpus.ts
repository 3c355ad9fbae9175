import { checkOptionKeys, type DraftModel } from '@hass-engine/core'
import type { Corpus } from '../corpus/open-corpus.js'
import type { HeadSetting } from './evaluate-head.js'
import { replayResponses } from './replay.js'
import { type EvaluationRow, summarizeSetting } from './summarize.js'

export interface EvaluateOnCorpusOptions {
  readonly corpus: Corpus
  /** Numbers of sequences that the head has not learnt from. */
  readonly sequences: ArrayLike<number>
  readonly draft: DraftModel
  /** Each is measured on the sequences that were generated at its temperature. */
  readonly settings: readonly HeadSetting[]
  readonly signal?: AbortSignal
}

/**
 * Measures a head on recorded responses: the cycles of a real generation without the target's passes, in a fraction of
 * the time. Settings at whose temperature nothing was recorded have no row.
 */
export async function* evaluateOnCorpus(
  options: EvaluateOnCorpusOptions,
): AsyncGenerator<EvaluationRow, void, undefined> {
  checkOptionKeys(options, ['corpus', 'sequences', 'draft', 'settings', 'signal'], 'evaluateOnCorpus')
  const { corpus, draft, settings, signal } = options
  for (const setting of settings) {
    const { temperature, isCoupled } = setting
    const sequences = Array.from(options.sequences).filter((i) => corpus.sequences[i]?.temperature === temperature)
    if (sequences.length === 0) continue
    const counts = await replayResponses({
      corpus,
      sequences,
      draft,
      policy: setting.createPolicy(),
      coupled: isCoupled,
      ...(signal && { signal }),
    })
    yield summarizeSetting(setting, counts)
  }
}
