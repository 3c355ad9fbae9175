import { availableParallelism } from 'node:os'
import { type CostTables, checkNumber, checkOptionKeys, type TreePolicy } from '@hass-engine/core'
import { costAware, mergePolicies, ngram, plain } from '@hass-engine/draft-tree'
import { type DeviceKind, openDevice } from '@hass-engine/kernels'
import {
  type ActivationBlock,
  type CacheDType,
  createDraftHead,
  createTargetModel,
  type DraftHeadOptions,
} from '@hass-engine/models'
import { createTokenizerFromGguf, loadTokenizer, type Tokenizer } from '@hass-engine/tokenizer'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import { loadCostTables } from './cost-tables.js'
import { createEngine } from './create-engine.js'
import type { Engine } from './engine.js'
import { NoDefaultModelError } from './errors.js'

export interface EngineOptions {
  /** A folder with `config.json` and weights, or a GGUF file. Defaults to the embedded SmolLM2-135M-Instruct. */
  readonly model?: string
  /**
   * A draft head's folder; `'ngram'` drafts from the text itself; `false` decodes plainly. Defaults to the head that
   * comes with the embedded model, if there is one, and to plain decoding for others.
   */
  readonly draft?: string | false
  /** Defaults to `auto`: the native kernels where they can be loaded. */
  readonly device?: DeviceKind | 'auto'
  /** Threads of the kernels. Defaults to the machine's cores. */
  readonly threads?: number
  /** Longest text, in tokens. Defaults to the model's context, at most 4096. */
  readonly contextTokens?: number
  /** Tokens that the cache holds, of all texts together. Defaults to twice `contextTokens`. */
  readonly cacheTokens?: number
  readonly cacheDtype?: CacheDType
  readonly activationBlock?: ActivationBlock
  /** What the head's own matrices are kept as; see `createDraftHead`. Changes the speed only. Defaults to `Q8`. */
  readonly headDtype?: DraftHeadOptions['weightDtype']
  /** What the head's copy of `lm_head` is kept as; see `createDraftHead`. Changes the speed only. */
  readonly lmHeadDtype?: DraftHeadOptions['lmHeadDtype']
  /** Texts that are decoded side by side at most. Defaults to 16. */
  readonly maxSequences?: number
  /** Prompt tokens per pass. Defaults to 512. */
  readonly prefillChunk?: number
  /** Ended texts whose caches are kept for those that begin alike. Defaults to 4. */
  readonly keptPrefixes?: number
  /**
   * Decides the trees. Defaults to `costAware` united with n-grams where there is a head, to n-grams that know costs with
   * `draft: 'ngram'`.
   */
  readonly policy?: TreePolicy
  /** Costs of passes. Defaults to measuring them once per machine and model. */
  readonly costs?: CostTables
  readonly signal?: AbortSignal
}

const optionKeys = [
  'model',
  'draft',
  'device',
  'threads',
  'contextTokens',
  'cacheTokens',
  'cacheDtype',
  'activationBlock',
  'headDtype',
  'lmHeadDtype',
  'maxSequences',
  'prefillChunk',
  'keptPrefixes',
  'policy',
  'costs',
  'signal',
]

/** Rows beyond the longest text: a tree stands there before it is cut to what was accepted. */
const treeRows = 256

/**
 * Loads a model, with a draft head if there is one, ready to answer.
 *
 * @throws NoDefaultModelError `HASS_ERR_NO_DEFAULT_MODEL`; InvalidArgumentError; WeightsError and TokenizerError for
 * files that cannot be used, `HASS_ERR_DRAFT_MISMATCH` for a head of another target
 */
export async function loadEngine(options: EngineOptions = {}): Promise<Engine> {
  checkOptionKeys(options, optionKeys, 'loadEngine')
  const { signal, cacheDtype, activationBlock, headDtype, lmHeadDtype } = options
  const maxSequences = checkNumber(options.maxSequences ?? 16, 'maxSequences', { min: 1, max: 1024, isInteger: true })
  const prefillChunk = checkNumber(options.prefillChunk ?? 512, 'prefillChunk', { min: 1, max: 4096, isInteger: true })
  const keptPrefixes = checkNumber(options.keptPrefixes ?? 4, 'keptPrefixes', { min: 0, max: 1024, isInteger: true })
  const files = await locate(options)
  const model = await openModel(files.model)
  const contextTokens = checkNumber(options.contextTokens ?? Math.min(model.config.maxContext, 4096), 'contextTokens', {
    min: 2,
    max: model.config.maxContext,
    isInteger: true,
  })
  const cacheTokens = checkNumber(options.cacheTokens ?? 2 * contextTokens, 'cacheTokens', {
    min: contextTokens,
    max: 2 ** 24,
    isInteger: true,
  })
  const device = openDevice({
    kind: options.device ?? 'auto',
    threads: options.threads ?? Math.min(availableParallelism(), 64),
  })
  const disposables: { dispose(): void }[] = [device]
  try {
    const shared = {
      device,
      ...(activationBlock !== undefined && { activationBlock }),
      ...(signal && { signal }),
    }
    // The device packs weights while the vocabulary is opened here.
    const [loaded, opened] = await Promise.allSettled([
      createTargetModel({
        ...shared,
        model,
        cacheTokens: cacheTokens + treeRows,
        maxRows: Math.max(prefillChunk, 64),
        ...(cacheDtype && { cacheDtype }),
      }),
      tokenizerOf(model),
    ])
    if (loaded.status === 'fulfilled') disposables.unshift(loaded.value)
    const target = settledValue(loaded)
    const tokenizer = settledValue(opened)
    const head = files.head === undefined ? undefined : await openModel(files.head)
    const draft =
      head &&
      (await createDraftHead({
        ...shared,
        target,
        model: head,
        ...(headDtype && { weightDtype: headDtype }),
        ...(lmHeadDtype && { lmHeadDtype }),
      }))
    if (draft) disposables.unshift(draft)
    const models = head ? [model, head] : [model]
    const settings = [cacheDtype, activationBlock, headDtype, lmHeadDtype]
    const isDrafting = draft !== undefined || files.isNgram
    const costs =
      options.costs ?? (isDrafting ? await loadCostTables({ ...shared, target, draft, models, settings }) : undefined)
    return createEngine({
      tokenizer,
      target,
      draft,
      policy: options.policy ?? defaultPolicy(draft !== undefined, files.isNgram),
      costs,
      maxContext: contextTokens,
      maxSequences,
      prefillChunk,
      keptPrefixes,
      disposables,
    })
  } catch (error) {
    for (const disposable of disposables) disposable.dispose()
    throw error
  }
}

function defaultPolicy(hasHead: boolean, isNgram: boolean): TreePolicy {
  // A text that repeats itself is cheaper to copy than to draft.
  if (hasHead) return mergePolicies([costAware(), ngram()])
  return isNgram ? mergePolicies([ngram()]) : plain()
}

/** What the package of the default model exports. */
interface EmbeddedModel {
  readonly modelPath: string
  readonly headPath?: string
}

interface EngineFiles {
  readonly model: string
  readonly head: string | undefined
  readonly isNgram: boolean
}

async function locate({ model, draft }: EngineOptions): Promise<EngineFiles> {
  const isNgram = draft === 'ngram'
  const named = isNgram || draft === false ? undefined : draft
  if (model !== undefined) return { model, head: named, isNgram }
  try {
    const embedded: EmbeddedModel = await import('@hass-engine/smollm2-135m-instruct')
    return { model: embedded.modelPath, head: draft === undefined ? embedded.headPath : named, isNgram }
  } catch (cause) {
    throw new NoDefaultModelError(cause)
  }
}

function settledValue<Value>(result: PromiseSettledResult<Value>): Value {
  if (result.status === 'rejected') throw result.reason
  return result.value
}

async function tokenizerOf({ tokenizer, config }: OpenedModel): Promise<Tokenizer> {
  const options = { embeddingRows: config.vocabSize }
  return tokenizer.kind === 'gguf'
    ? createTokenizerFromGguf(tokenizer.metadata, options)
    : loadTokenizer(tokenizer.folder, options)
}
