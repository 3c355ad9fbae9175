import type { Device, DeviceTensor } from '@hass-engine/kernels'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import { gatherRows, readDraftVocabulary } from './draft-vocabulary.js'
import { uploadWeights, weightSource } from './upload-weights.js'

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
  signal?: AbortSignal,
): Promise<HeadWeights> {
  const sources = new Map([...head.tensors].filter(([name]) => !otherTensors.includes(name)))
  const { tensors } = await uploadWeights(device, sources, signal && { signal })
  const own = [...tensors.values()]
  try {
    const embeddings = head.tensors.get('embed_tokens.weight')
    const isOwn = embeddings && !(await haveSameBytes(embeddings, target.opened.tensors.get('embed_tokens.weight')!))
    if (isOwn) own.push(await device.upload(weightSource(embeddings)))
    tensors.set('embed_tokens.weight', isOwn ? own.at(-1)! : target.weight('embed_tokens.weight'))

    const lmHead = target.opened.config.tiesEmbeddings ? 'embed_tokens.weight' : 'lm_head.weight'
    const vocabulary = await readDraftVocabulary(head)
    if (vocabulary) own.push(await device.upload(gatherRows(target.opened.tensors.get(lmHead)!, vocabulary)))
    tensors.set('lm_head.weight', vocabulary ? own.at(-1)! : target.weight(lmHead))
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
