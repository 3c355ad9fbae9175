import { WeightsError } from '../errors.js'
import type { TensorSource } from '../tensor-source.js'
import type { OpenedModel } from './open-model.js'

/**
 * Refuses a draft head that does not fit its target: another hidden size or vocabulary.
 *
 * A head that passes may still be a bad one; then it costs speed, and nothing else.
 *
 * @throws WeightsError `HASS_ERR_DRAFT_MISMATCH`, naming the tensor, what was found and what was expected
 */
export async function checkDraftHead(head: OpenedModel, target: OpenedModel): Promise<void> {
  const { architecture } = head.config
  const { hiddenSize, vocabSize } = target.config
  if (architecture !== 'hass-head' && architecture !== 'deepseek-v3-nextn') {
    return refuse(target, {
      tensor: 'fc.weight',
      found: `missing (the model is ${architecture})`,
      expected: `[${hiddenSize},${2 * hiddenSize}]`,
    })
  }
  const kind = architecture === 'hass-head' ? 'HASS' : 'NextN'
  const prefix = architecture === 'hass-head' ? '' : 'mtp.0.'
  const draftVocabSize = head.config.draftVocabSize ?? vocabSize
  const expectations: Readonly<Record<string, readonly number[]>> = {
    'fc.weight': [hiddenSize, 2 * hiddenSize],
    'mtp.0.eh_proj.weight': [hiddenSize, 2 * hiddenSize],
    [`${prefix}embed_tokens.weight`]: [vocabSize, hiddenSize],
    'lm_head.weight': [draftVocabSize, hiddenSize],
    'mtp.0.shared_head.head.weight': [vocabSize, hiddenSize],
    t2d: [vocabSize],
  }
  for (const [tensor, expected] of Object.entries(expectations)) {
    const found = head.tensors.get(tensor)?.shape
    if (found && `${found}` !== `${expected}`) {
      refuse(target, { tensor, found: `[${found}]`, expected: `[${expected}]`, kind })
    }
  }
  const ids = head.tensors.get('d2t')
  if (ids) await checkDraftVocabulary(target, ids)
  else if (head.config.vocabSize !== vocabSize) {
    refuse(target, {
      tensor: 'config.json',
      found: `vocab_size ${head.config.vocabSize}`,
      expected: `${vocabSize}`,
      kind,
    })
  }
}

/** `d2t` holds offsets: draft id `i` means the target's id `i + d2t[i]` (EAGLE-3). */
async function checkDraftVocabulary(target: OpenedModel, offsets: TensorSource): Promise<void> {
  const { vocabSize } = target.config
  const bytes = await offsets.read()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isWide = offsets.dtype === 'I64'
  for (let id = 0; id < offsets.shape[0]!; id++) {
    const offset = isWide ? view.getBigInt64(8 * id, true) : BigInt(view.getInt32(4 * id, true))
    const targetId = BigInt(id) + offset
    if (targetId >= 0n && targetId < BigInt(vocabSize)) continue
    refuse(target, {
      tensor: 'd2t',
      found: `target id ${targetId} at draft id ${id}`,
      expected: `ids below ${vocabSize}`,
    })
  }
}

interface Mismatch {
  readonly tensor: string
  readonly found: string
  readonly expected: string
  readonly kind?: string
}

function refuse(target: OpenedModel, { tensor, found, expected, kind = 'HASS' }: Mismatch): never {
  const { hiddenSize, vocabSize } = target.config
  const what = tensor === 'config.json' ? tensor : `Tensor \`${tensor}\``
  throw new WeightsError(
    'HASS_ERR_DRAFT_MISMATCH',
    `${what} of the draft head is ${found}, expected ${expected}: this is not a ${kind} head for a target of hidden size ${hiddenSize} and vocabulary ${vocabSize}.`,
    { tensor, found, expected, hiddenSize, vocabSize },
  )
}
