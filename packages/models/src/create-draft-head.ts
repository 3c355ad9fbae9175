import { checkNumber, checkOptionKeys } from '@hass-engine/core'
import type { Device, DeviceDType } from '@hass-engine/kernels'
import { checkDraftHead, type OpenedModel } from '@hass-engine/weights'
import { hassHead } from './architectures/hass-head.js'
import { DeviceDraftHead } from './draft-head.js'
import { ModelUnsupportedError } from './errors.js'
import { type ActivationBlock, type CacheDType, DecoderRuntime } from './passes/decoder-runtime.js'
import type { Observer } from './passes/observer.js'
import type { DeviceTargetModel } from './target-model.js'
import { uploadHeadWeights } from './weights/head-weights.js'
import { uploadRopeTable } from './weights/rope.js'
import { precisionOf } from './weights/upload-weights.js'

export interface DraftHeadOptions {
  /** The target's. */
  readonly device: Device
  /** The model whose features the head reads; its embeddings and `lm_head` are the head's too. */
  readonly target: DeviceTargetModel
  /** What `openModel` returned for the head. */
  readonly model: OpenedModel
  /** Rows that the head's cache has room for. Defaults to the target's. */
  readonly cacheTokens?: number
  /** Element type of cached keys and values. Defaults to `F32`: it is one layer. */
  readonly cacheDtype?: CacheDType
  /** Rows of one pass. Defaults to 512. */
  readonly maxRows?: number
  /** Elements of an activation that share an int8 scale where weights are packed; 0 keeps float32. Defaults to 32. */
  readonly activationBlock?: ActivationBlock
  /**
   * What the head's own matrices are kept as, where their rows are whole blocks of it; `file` keeps what the file has.
   * What is lost may cost accepted tokens, and never changes a text. Defaults to `Q8`.
   */
  readonly weightDtype?: DeviceDType | 'file'
  /**
   * What the head's copy of the target's `lm_head` is kept as, of the draft vocabulary's rows alone where it has one: a
   * smaller one makes drafting faster and its guesses a little worse. Defaults to the target's own dtype; a head of
   * the whole vocabulary then shares the target's.
   */
  readonly lmHeadDtype?: DeviceDType
  /** Most probable tokens of a row that are given noise and ranked; no row has more candidates. Defaults to 128. */
  readonly pool?: number
  /** Ends the loading; it rejects with `signal.reason`. */
  readonly signal?: AbortSignal
}

const optionKeys = [
  'device',
  'target',
  'model',
  'cacheTokens',
  'cacheDtype',
  'maxRows',
  'activationBlock',
  'weightDtype',
  'lmHeadDtype',
  'pool',
  'signal',
]

/** Frontiers are this wide at most in one pass; of a context only the last row needs candidates. */
const maxCandidateRows = 64

/**
 * Loads a HASS or EAGLE draft head for a target, with a full or a reduced draft vocabulary.
 *
 * Source: HASS (arXiv 2408.15766), section 3.
 *
 * @throws WeightsError `HASS_ERR_DRAFT_MISMATCH` if the head is none of this target
 * @throws ModelUnsupportedError `HASS_ERR_MODEL_UNSUPPORTED` for a NextN head
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` for unknown options and numbers out of bounds
 */
export function createDraftHead(options: DraftHeadOptions): Promise<DeviceDraftHead> {
  return loadDraftHead(options)
}

/** @internal `createDraftHead`, with intermediate rows shown to tests. */
export async function loadDraftHead(options: DraftHeadOptions, observer?: Observer): Promise<DeviceDraftHead> {
  checkOptionKeys(options, optionKeys, 'createDraftHead')
  const {
    device,
    target,
    model,
    signal,
    lmHeadDtype,
    activationBlock = 32,
    cacheDtype = 'F32',
    weightDtype = 'Q8',
  } = options
  const cacheTokens = options.cacheTokens ?? target.cache.capacity
  checkNumber(cacheTokens, 'cacheTokens', { min: 1, max: 2 ** 24, isInteger: true })
  const maxRows = checkNumber(options.maxRows ?? 512, 'maxRows', { min: 1, max: 4096, isInteger: true })
  const wantedPool = checkNumber(options.pool ?? 128, 'pool', { min: 1, isInteger: true })
  await checkDraftHead(model, target.opened)
  if (model.config.architecture !== 'hass-head') {
    throw new ModelUnsupportedError(`The architecture ${model.config.architecture} is not computed as a draft head.`, {
      architecture: model.config.architecture,
    })
  }
  const { tensors, own, vocabulary } = await uploadHeadWeights(device, model, target, {
    ...(weightDtype !== 'file' && { dtype: weightDtype }),
    ...(lmHeadDtype && { lmHeadDtype }),
    ...(signal && { signal }),
  })
  const disposables: { dispose(): void }[] = [...own]
  try {
    const { hiddenSize, vocabSize } = target
    const ropeTable = await uploadRopeTable(device, model, target.maxContext)
    disposables.push(ropeTable)
    // What each cached row predicted, and behind it what the rows of one pass read that is not predicted.
    const features = device.allocate({ dtype: 'F32', shape: [cacheTokens + maxRows, hiddenSize] })
    disposables.push(features)
    signal?.throwIfAborted()
    const runtime = new DecoderRuntime({
      device,
      name: 'hass-head',
      config: model.config,
      weights: tensors,
      ropeTable,
      cacheTokens,
      cacheDtype,
      maxContext: target.maxContext,
      maxRows,
      maxSelected: Math.min(maxRows, maxCandidateRows),
      activationBlock,
      ...(observer && { observer }),
      states: { features, targetFeatures: target.features },
      build(pass, { rows, selectedRows, selected, states }) {
        const { graph } = pass
        const known = states.features!
        const kept = graph.dimension('kept', maxRows)
        const ofTarget = graph.gatherRows(states.targetFeatures!, graph.input('keptSlots', 'U32', [kept]))
        graph.cacheWrite(known, ofTarget, graph.input('keptPlaces', 'U32', [kept]))
        const given = graph.dimension('given', maxRows)
        const brought = graph.input('given', 'F32', [given, hiddenSize])
        graph.cacheWrite(known, brought, graph.input('givenPlaces', 'U32', [given]))
        const read = graph.gatherRows(known, graph.input('featurePlaces', 'U32', [rows]))
        const predicted = hassHead({ ...pass, features: read })
        graph.cacheWrite(known, predicted, pass.slots)
        pass.observe?.('predicted', predicted)
        // Features divided by the temperature give logits divided by it, at a fraction of the cost.
        const inverse = graph.input('inverseTemperature', 'F32', [selectedRows, hiddenSize])
        const cooled = graph.mul(graph.gatherRows(predicted, selected), inverse)
        const logits = graph.linear(cooled, pass.weights.get('lm_head.weight'))
        pass.observe?.('logits', logits)
        const { ids, values } = graph.topK(
          graph.logSoftmax(logits),
          Math.min(wantedPool, vocabulary?.length ?? vocabSize),
        )
        graph.output('ids', ids)
        graph.output('logProbs', values)
      },
    })
    disposables.push(runtime)
    return new DeviceDraftHead({
      target,
      runtime,
      vocabulary,
      disposables,
      precision: precisionOf(tensors),
    })
  } catch (error) {
    for (const disposable of disposables) disposable.dispose()
    throw error
  }
}
