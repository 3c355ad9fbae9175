import { createNoiseField } from '@hass-engine/core'
import { type CorpusWriterOptions, openCorpusWriter } from '../corpus/corpus-writer.js'
import type { FeaturedSequence } from '../corpus/sequence.js'

export const tinySizes = { hiddenSize: 4, vocabSize: 40 }

/** Sequences of noise, with lengths from 6 to 20 tokens and one response each, of three domains. */
export function corpusTexts(count: number): FeaturedSequence[] {
  const noise = createNoiseField(5)
  return Array.from({ length: count }, (_, i) => {
    const length = 6 + (noise.word(i, 0) % 15)
    const promptTokens = 3 + (noise.word(i, 1) % (length - 4))
    return {
      id: `text/${i}`,
      domain: ['a', 'b', 'c'][i % 3]!,
      promptTokens,
      temperature: i % 2,
      seed: String(i),
      tokens: Uint32Array.from({ length }, (_, t) => noise.word(i, 100 + t) % tinySizes.vocabSize),
      responseMask: Uint8Array.from({ length }, (_, t) => (t >= promptTokens ? 1 : 0)),
      features: Float32Array.from({ length: (length - 1) * tinySizes.hiddenSize }, (_, k) => noise.gumbel(i, 1000 + k)),
    }
  })
}

/** Writes sequences as a corpus; from the `from`-th on, to one that has those before. */
export async function writeTinyCorpus(
  folder: string,
  sequences: readonly FeaturedSequence[],
  options: Partial<CorpusWriterOptions> & { readonly from?: number } = {},
): Promise<void> {
  const { from = 0, ...others } = options
  await using writer = await openCorpusWriter({
    folder,
    target: { sha256: 'ab'.repeat(32), ...tinySizes },
    features: 'BF16',
    prompts: sequences.map(({ id }) => ({ id })),
    promptsPerShard: 128,
    settings: {},
    ...others,
    ...(options.prompts && { prompts: options.prompts.map(({ id }) => ({ id })) }),
  })
  const { promptsPerShard } = writer.manifest
  for (let at = from; at < sequences.length; at += promptsPerShard) {
    await writer.append(sequences.slice(at, at + promptsPerShard))
  }
}
