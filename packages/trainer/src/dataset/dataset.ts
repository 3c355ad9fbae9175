import {
  checkNumber,
  checkOptionKeys,
  createNoiseField,
  InvalidArgumentError,
  type NoiseField,
  noiseStreams,
} from '@hass-engine/core'
import type { BatchLimits } from '../alignment/step-inputs.js'
import { CorpusError } from '../corpus/errors.js'
import type { Corpus } from '../corpus/open-corpus.js'
import type { CorpusSequence } from '../corpus/sequence.js'
import type { TrainingBatch } from '../head-trainer.js'
import { planBatches } from './plan-batches.js'
import { type Split, splitOf } from './split.js'

export interface DatasetOptions {
  readonly corpus: Corpus
  /** Decides order and noise. */
  readonly seed: number | bigint
  /** Defaults to `train`. */
  readonly split?: Split
  /** Share of the prompts that are held out. Defaults to 0.02. */
  readonly heldOutShare?: number
  /** Only these kinds of prompts. Defaults to all. */
  readonly domains?: readonly string[]
  /** Rows of a batch, padding included; one longer sequence is a batch all the same. Defaults to 1024. */
  readonly maxRows?: number
  /** Sequences of a batch. Defaults to 16. */
  readonly maxSequences?: number
  /** Rows of a sequence, those behind are cut. Defaults to 2048, as in the paper. */
  readonly maxLength?: number
  /**
   * Rows kept before the first one that counts; earlier ones are cut from the front, which makes steps cheaper and
   * contexts shorter. Defaults to all.
   */
  readonly contextRows?: number
  /**
   * Rows of prompts that are kept count as well, where the paper counts responses alone: about twice the data of a
   * corpus of short answers, for what its features have cost already. Defaults to false.
   */
  readonly countsPrompts?: boolean
  /**
   * Input features get uniform noise of ±(noise · 512 / rows of the sequence). The paper's 0.1 is meant for sequences
   * of two thousand tokens; short ones get much of it. Defaults to 0.1; 0 is none.
   */
  readonly noise?: number
  /** `[size]`, the target's ids of the draft vocabulary: token losses count where it has the token. Defaults to all. */
  readonly draftVocabulary?: Uint32Array
}

/** Where in the data a run stands: what a checkpoint holds of it. */
export interface DataCursor {
  readonly epoch: number
  /** The next batch of the epoch. */
  readonly batch: number
}

/** A batch, and what it is made of. */
export interface DatasetBatch extends TrainingBatch {
  /** Numbers of the sequences in the corpus, `[B]`. */
  readonly corpusSequences: Uint32Array
  /** Rows that are no padding. */
  readonly rows: number
  /** Rows that count. */
  readonly maskedRows: number
}

const optionKeys = [
  'corpus',
  'seed',
  'split',
  'heldOutShare',
  'domains',
  'maxRows',
  'maxSequences',
  'maxLength',
  'contextRows',
  'countsPrompts',
  'noise',
  'draftVocabulary',
]

/** Rows of a sequence that a batch takes: from `first` on, `length` of them. */
interface Window {
  /** Number in the corpus. */
  readonly sequence: number
  readonly first: number
  readonly length: number
}

/**
 * The sequences of a corpus as training batches, in an order that seed and epoch decide.
 *
 * @throws InvalidArgumentError; CorpusError `HASS_ERR_CORPUS_MISSING` if nothing is left to read
 */
export function createDataset(options: DatasetOptions): Dataset {
  return new Dataset(options)
}

/** Batches by (epoch, number): nothing is consumed, so a cursor is all that a resumed run needs. */
export class Dataset {
  readonly corpus: Corpus
  /** Sequences that are read. */
  readonly size: number
  readonly #seed: number | bigint
  readonly #noise: NoiseField
  readonly #noiseScale: number
  readonly #windows: readonly Window[]
  readonly #countsPrompts: boolean
  readonly #draftVocabulary: ReadonlySet<number> | undefined
  readonly #maxRows: number
  readonly #maxSequences: number
  #plan: { readonly epoch: number; readonly batches: readonly Uint32Array[] } | undefined

  /** @internal Use `createDataset`. */
  constructor(options: DatasetOptions) {
    checkOptionKeys(options, optionKeys, 'createDataset')
    const { corpus, seed, split = 'train', domains, contextRows } = options
    const heldOutShare = checkNumber(options.heldOutShare ?? 0.02, 'heldOutShare', { min: 0, max: 1 })
    const maxLength = checkNumber(options.maxLength ?? 2048, 'maxLength', { min: 2, isInteger: true })
    if (contextRows !== undefined) checkNumber(contextRows, 'contextRows', { min: 0, isInteger: true })
    this.#maxRows = checkNumber(options.maxRows ?? 1024, 'maxRows', { min: 1, isInteger: true })
    this.#maxSequences = checkNumber(options.maxSequences ?? 16, 'maxSequences', { min: 1, isInteger: true })
    this.#noiseScale = checkNumber(options.noise ?? 0.1, 'noise', { min: 0, max: 1 })
    this.#countsPrompts = options.countsPrompts ?? false
    this.#noise = createNoiseField(seed)
    this.#seed = seed
    this.#draftVocabulary = options.draftVocabulary && new Set(options.draftVocabulary)
    this.corpus = corpus
    this.#windows = corpus.sequences.flatMap((sequence, index) => {
      const isWanted = splitOf(sequence.id, heldOutShare) === split && (domains?.includes(sequence.domain) ?? true)
      const window = isWanted && windowOf(sequence, maxLength, contextRows)
      return window ? [{ sequence: index, ...window }] : []
    })
    this.size = this.#windows.length
    if (this.size > 0) return
    const wanted = `the split ${split}${domains ? ` and the domains ${domains.join(', ')}` : ''}`
    throw new CorpusError(
      'HASS_ERR_CORPUS_MISSING',
      `The corpus has ${corpus.sequences.length} sequences, none of which is of ${wanted} and has a response: let it grow, or ask for others.`,
      { sequences: corpus.sequences.length, split, domains },
    )
  }

  /** Numbers in the corpus of the sequences that are read. */
  get corpusSequences(): Uint32Array {
    return Uint32Array.from(this.#windows, ({ sequence }) => sequence)
  }

  /** Most sequences of a batch, and the longest one's rows. */
  get limits(): BatchLimits {
    return { sequences: this.#maxSequences, positions: Math.max(2, ...this.#windows.map(({ length }) => length)) }
  }

  numBatches(epoch: number): number {
    return this.#batches(epoch).length
  }

  /** The cursor after a batch: the next one, or the first of the next epoch. */
  next({ epoch, batch }: DataCursor): DataCursor {
    return batch + 1 < this.numBatches(epoch) ? { epoch, batch: batch + 1 } : { epoch: epoch + 1, batch: 0 }
  }

  /**
   * Reads the batch at a cursor.
   *
   * Row t of a sequence holds the feature of its token t and the token at t + 1, and counts if the token at t + 2, whose
   * distribution it is to predict, is part of a response (HASS, section 3.1), or of a prompt with `countsPrompts`.
   *
   * @throws CorpusError `HASS_ERR_CORPUS_CORRUPT`, naming the shard
   */
  async readBatch({ epoch, batch }: DataCursor, signal?: AbortSignal): Promise<DatasetBatch> {
    const chosen = this.#batches(epoch)[batch]
    if (!chosen) {
      throw new InvalidArgumentError(`Epoch ${epoch} has no batch ${batch}, only ${this.numBatches(epoch)}.`, {
        epoch,
        batch,
      })
    }
    const windows = Array.from(chosen, (index) => this.#windows[index]!)
    const size = this.corpus.hiddenSize
    const positions = Math.max(...windows.map(({ length }) => length))
    const cells = windows.length * positions
    const tokens = new Uint32Array(cells)
    const lossMask = new Uint8Array(cells)
    const tokenLossMask = this.#draftVocabulary && new Uint8Array(cells)
    const features = new Float32Array(cells * size)
    const read = await Promise.all(windows.map(({ sequence }) => this.corpus.readFeatures(sequence, signal)))
    for (const [i, { sequence, first, length }] of windows.entries()) {
      const { tokens: ids, responseMask } = this.corpus.sequences[sequence]!
      const at = i * positions
      tokens.set(ids.subarray(first + 1, first + 1 + length), at)
      // One short of the length: the last row has no next feature.
      if (this.#countsPrompts) lossMask.fill(1, at, at + length - 1)
      else lossMask.set(responseMask.subarray(first + 2, first + 1 + length), at)
      for (let row = 0; tokenLossMask && row < length - 1; row++) {
        const isKnown = this.#draftVocabulary!.has(ids[first + row + 2]!)
        tokenLossMask[at + row] = isKnown ? lossMask[at + row]! : 0
      }
      features.set(read[i]!.subarray(first * size, (first + length) * size), at * size)
    }
    const inputFeatures = this.#noiseScale > 0 ? this.#addNoise(features, positions, epoch, chosen) : undefined
    return {
      sequences: windows.length,
      positions,
      tokens,
      features,
      ...(inputFeatures && { inputFeatures }),
      lossMask,
      ...(tokenLossMask && { tokenLossMask }),
      corpusSequences: Uint32Array.from(windows, ({ sequence }) => sequence),
      rows: windows.reduce((sum, { length }) => sum + length, 0),
      maskedRows: lossMask.reduce((sum, counts) => sum + counts, 0),
    }
  }

  /** Noise is drawn by epoch and sequence, so that it does not depend on what shares the batch. */
  #addNoise(features: Float32Array, positions: number, epoch: number, chosen: Uint32Array): Float32Array {
    const size = this.corpus.hiddenSize
    const noisy = features.slice()
    for (const [i, index] of chosen.entries()) {
      const { length } = this.#windows[index]!
      const uniform = new Float64Array(length * size)
      this.#noise.fillUniform(uniform, (epoch * this.size + index) % 2 ** 32, noiseStreams.training)
      const width = (2 * this.#noiseScale * 512) / length
      const at = i * positions * size
      for (let k = 0; k < uniform.length; k++) noisy[at + k]! += (uniform[k]! - 0.5) * width
    }
    return noisy
  }

  #batches(epoch: number): readonly Uint32Array[] {
    checkNumber(epoch, 'epoch', { min: 0, below: 2 ** 32, isInteger: true })
    if (this.#plan?.epoch !== epoch) {
      const batches = planBatches({
        lengths: this.#windows.map(({ length }) => length),
        seed: this.#seed,
        epoch,
        maxRows: this.#maxRows,
        maxSequences: this.#maxSequences,
      })
      this.#plan = { epoch, batches }
    }
    return this.#plan.batches
  }
}

/** The rows of a sequence that are learnt from; undefined if none of them would count. */
function windowOf(
  { tokens, responseMask }: CorpusSequence,
  maxLength: number,
  contextRows = Number.POSITIVE_INFINITY,
): Omit<Window, 'sequence'> | undefined {
  const firstResponse = responseMask.indexOf(1)
  if (firstResponse === -1) return undefined
  // The row that predicts the first token of the response stands two before it.
  const first = Math.max(0, firstResponse - 2 - contextRows)
  const length = Math.min(maxLength, tokens.length - 1 - first)
  const counts = responseMask.subarray(first + 2, first + 1 + length).includes(1)
  return counts ? { first, length } : undefined
}
