import { dynamicTree } from '@hass-engine/draft-tree'
import type { Device } from '@hass-engine/kernels'
import { createDraftHead, createTargetModel, type DeviceTargetModel } from '@hass-engine/models'
import type { OpenedModel } from '@hass-engine/weights'
import type { Corpus } from '../corpus/open-corpus.js'
import { sumAcceptance } from '../evaluation/acceptance.js'
import { type ReplayOptions, replayResponses } from '../evaluation/replay.js'
import { createHeadModel } from '../export/head-model.js'
import type { HeadParameters } from '../export/head-parameters.js'
import type { Evaluation } from '../run/events.js'

export interface HeadEvaluatorOptions {
  readonly device: Device
  readonly target: OpenedModel
  readonly corpus: Corpus
  /** Numbers of the held-out sequences in the corpus. */
  readonly sequences: ArrayLike<number>
  /** Greedy responses at most, and as many sampled ones. */
  readonly maxSequences: number
  readonly draftVocabulary?: Uint32Array
}

/** Rows beyond the longest text, where a tree stands before it is cut to what was accepted. */
const treeRows = 256

/** Small, so that measuring does not take longer than training: heads are compared with it, not praised. */
const policy = dynamicTree({ topK: 4, depth: 4, maxNodes: 12 })

/** Measures heads in training on held-out responses, all with the same ones. */
export class HeadEvaluator implements AsyncDisposable {
  readonly #options: HeadEvaluatorOptions
  readonly #target: DeviceTargetModel
  readonly #greedy: readonly number[]
  readonly #sampled: readonly number[]

  private constructor(options: HeadEvaluatorOptions, target: DeviceTargetModel) {
    const { corpus, sequences, maxSequences } = options
    this.#options = options
    this.#target = target
    const choose = (isWanted: (temperature: number) => boolean) =>
      Array.from(sequences)
        .filter((index) => isWanted(corpus.sequences[index]!.temperature ?? 0))
        .slice(0, maxSequences)
    this.#greedy = choose((temperature) => temperature === 0)
    this.#sampled = choose((temperature) => temperature === 1)
  }

  static async create(options: HeadEvaluatorOptions): Promise<HeadEvaluator> {
    const { device, target: model, corpus } = options
    // The head reads embeddings and `lm_head` of it; its cache only says how long a text may be.
    const longest = corpus.sequences.reduce((most, { tokens }) => Math.max(most, tokens.length), 0)
    return new HeadEvaluator(options, await createTargetModel({ device, model, cacheTokens: longest + treeRows }))
  }

  /**
   * τ of a head with small trees: of greedy responses, and of responses at temperature 1 with candidates coupled to the
   * target's noise.
   */
  async evaluate(parameters: HeadParameters, signal?: AbortSignal): Promise<Evaluation> {
    const { device, target, corpus, draftVocabulary } = this.#options
    const model = createHeadModel({ target, parameters, ...(draftVocabulary && { draftVocabulary }) })
    await using draft = await createDraftHead({ device, target: this.#target, model, cacheTokens: 32_768 })
    const measure = async (sequences: readonly number[], options: Pick<ReplayOptions, 'coupled'>) => {
      const counts = await replayResponses({ corpus, sequences, draft, policy, ...options, ...(signal && { signal }) })
      const { emitted, cycles } = sumAcceptance(counts)
      return cycles === 0 ? 0 : emitted / cycles
    }
    return {
      acceptanceLength: await measure(this.#greedy, {}),
      sampledCoupled: await measure(this.#sampled, { coupled: true }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#target[Symbol.asyncDispose]()
  }
}
