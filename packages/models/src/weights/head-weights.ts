import type { Device, DeviceDType, DeviceTensor } from '@hass-engine/kernels'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import { gatherRows, readDraftVocabulary } from './draft-vocabulary.js'
import { type UploadWeightsOptions, uploadWeights, weightSource } from './upload-weights.js'

/** What a draft head borrows of its target. */
export interface LendingTarget {
  readonly opened: OpenedModel
  /** A weight on the device, by its canonical name. */
  weight(name: string): DeviceTensor
}

export interface HeadWeights {
  /** By the names of the head's graph: `embed_tokens.weight` and `lm_head.weight` may be the target's. */
  readonly tensors: ReadonlyMap<string, DeviceTensor>
  /** Those that must be freed with the head. */
  readonly own: readonly DeviceTensor[]
  /** Target ids of the draft vocabulary, if it is a reduced one. */
  readonly vocabulary: Uint32Array | undefined
}

export interface HeadWeightsOptions extends UploadWeightsOptions {
  /** What a copy of the target's `lm_head` is kept as. Defaults to what the target's file maps onto best. */
  readonly lmHeadDtype?: DeviceDType
}

/** Tensors of a head's file that do not go to the device as they are. */
const otherTensors = ['embed_tokens.weight', 'lm_head.weight', 'd2t', 't2d']

/**
 * Uploads a head's weights, with the target's embeddings and `lm_head` for its own. Where a file brings embeddings of
 * other values (rounded ones, say) the head was trained with those, and gets them.
 */
export async function uploadHeadWeights(
  device: Device,
  head: OpenedModel,
  target: LendingTarget,
  options: HeadWeightsOptions = {},
): Promise<HeadWeights> {
  const { lmHeadDtype, ...others } = options
  const sources = new Map([...head.tensors].filter(([name]) => !otherTensors.includes(name)))
  const { tensors } = await uploadWeights(device, sources, others)
  const own = [...tensors.values()]
  try {
    const embeddings = head.tensors.get('embed_tokens.weight')
    const isOwn = embeddings && !(await haveSameBytes(embeddings, target.opened.tensors.get('embed_tokens.weight')!))
    if (isOwn) own.push(await device.upload(weightSource(embeddings)))
    tensors.set('embed_tokens.weight', isOwn ? own.at(-1)! : target.weight('embed_tokens.weight'))

    const lmHead = target.opened.config.tiesEmbeddings ? 'embed_tokens.weight' : 'lm_head.weight'
    const vocabulary = await readDraftVocabulary(head)
    if (vocabulary || lmHeadDtype) {
      const whole = target.opened.tensors.get(lmHead)!
      const rows = vocabulary ? gatherRows(whole, vocabulary) : weightSource(whole)
      own.push(await device.upload(rows, lmHeadDtype ? { dtype: lmHeadDtype } : {}))
      tensors.set('lm_head.weight', own.at(-1)!)
    } else {
      tensors.set('lm_head.weight', target.weight(lmHead))
    }
    return { tensors, own, vocabulary }
  } catch (error) {
    for (const tensor of own) tensor.dispose()
    throw error
  }
}

async function haveSameBytes(a: TensorSource, b: TensorSource): Promise<boolean> {
  if (a.dtype !== b.dtype || a.byteLength !== b.byteLength) return false
  const [left, right] = await Promise.all([a.read(), b.read()])
  return Buffer.compare(left, right) === 0
}
