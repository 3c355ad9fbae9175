import { createHash } from 'node:crypto'
import type { OpenedModel } from '@hass-engine/weights'

/** Which target a text and its features are of. */
export interface TargetIdentity {
  /** Of its weights as stored, hexadecimal. */
  readonly sha256: string
  readonly hiddenSize: number
  readonly vocabSize: number
}

/**
 * The identity of a model's weights: SHA-256 over every tensor's name, type, shape and bytes, by ascending name, so
 * that it does not depend on how they are cut into files. Reads all of them once.
 */
export async function identifyTarget({ config, tensors }: OpenedModel): Promise<TargetIdentity> {
  const hash = createHash('sha256')
  for (const name of [...tensors.keys()].sort()) {
    const tensor = tensors.get(name)!
    hash.update(`${name}\n${tensor.dtype}\n${tensor.shape.join(' ')}\n`)
    hash.update(await tensor.read())
  }
  return { sha256: hash.digest('hex'), hiddenSize: config.hiddenSize, vocabSize: config.vocabSize }
}
