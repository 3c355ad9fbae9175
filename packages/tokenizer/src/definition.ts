import { type AddedToken, isControlToken } from './added-token.js'
import { readNormalizer, readPostProcessor, readPreTokenizer } from './components.js'
import { TokenizerError } from './errors.js'
import { FieldReader, unsupported, wrongType } from './json-fields.js'
import { Vocabulary, type VocabularyKind } from './vocabulary.js'

/** A tokenizer.json that has been looked through, field by field: safe to hand to the native binding. */
export interface TokenizerDefinition {
  /** The known fields again, and nothing else. */
  readonly json: string
  readonly vocabulary: Vocabulary
  readonly addedTokens: readonly AddedToken[]
  /** Spaces taken off the front of decoded text. */
  readonly strippedSpaces: 0 | 1
  /**
   * True if control tokens may be found in text that does not contain them literally, because they are looked for
   * in normalized text.
   */
  readonly areControlTokensNormalized: boolean
}

/**
 * Checks the content of a tokenizer.json.
 *
 * @throws TokenizerError `HASS_ERR_TOKENIZER_FORMAT`, `_UNSUPPORTED`, `_VOCAB` or `_REGEX`
 */
export function readDefinition(tokenizerJson: unknown): TokenizerDefinition {
  const root = FieldReader.of(tokenizerJson, 'tokenizer')
  const model = root.fields('model')
  // Old files leave the type out; what has merges is BPE.
  const type = model.string('type', 'BPE')
  if (type !== 'BPE') throw unsupported('model.type', type, ['BPE'])
  const addedTokens = readAddedTokens(root)
  const { kind, strippedSpaces } = readDecoder(root)
  const vocab = model.fields('vocab').entries()
  const vocabulary = new Vocabulary(
    kind,
    concat(
      vocab,
      addedTokens.map(({ content, id }) => [content, id]),
    ),
    new Set(addedTokens.filter((token) => token.special).map((token) => token.id)),
  )
  const normalizer = readNormalizer(root.value('normalizer'))
  const definition = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer,
    pre_tokenizer: readPreTokenizer(root.value('pre_tokenizer')),
    post_processor: readPostProcessor(root.value('post_processor'), (id) => vocabulary.has(id)),
    decoder: null,
    model: readModel(model, vocab, kind),
  }
  const isNormalizing = normalizer !== null && (normalizer.normalizers as unknown[] | undefined)?.length !== 0
  return {
    json: JSON.stringify(definition),
    vocabulary,
    addedTokens,
    strippedSpaces,
    areControlTokensNormalized: isNormalizing && addedTokens.some((token) => token.normalized && isControlToken(token)),
  }
}

function* concat<T>(...lists: Iterable<T>[]): Iterable<T> {
  for (const list of lists) yield* list
}

function readAddedTokens(root: FieldReader): AddedToken[] {
  if (!root.has('added_tokens')) return []
  return root.array('added_tokens').map((value, index) => {
    const fields = FieldReader.of(value, `added_tokens[${index}]`)
    const special = fields.boolean('special', false)
    const token = {
      id: fields.integer('id', { min: 0, max: 2 ** 32 - 1 }),
      content: fields.string('content'),
      single_word: fields.boolean('single_word', false),
      lstrip: fields.boolean('lstrip', false),
      rstrip: fields.boolean('rstrip', false),
      normalized: fields.boolean('normalized', !special),
      special,
    }
    // It would be text or not depending on its neighbours, so that nobody could tell whose it is.
    if (token.single_word && isControlToken(token)) {
      throw unsupported(`added_tokens[${index}].single_word`, 'true', ['false for control tokens'])
    }
    return token
  })
}

function readModel(model: FieldReader, vocab: [string, unknown][], kind: VocabularyKind) {
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const affix = model.string(key, '')
    if (affix !== '') throw unsupported(`model.${key}`, affix, ['none'])
  }
  // Dropout makes encoding random: a training aid that has no place here.
  if (model.has('dropout') && model.value('dropout') !== 0) {
    throw unsupported('model.dropout', String(model.value('dropout')), ['none'])
  }
  const byteFallback = model.boolean('byte_fallback', false)
  if (byteFallback !== (kind === 'byte-fallback')) {
    throw unsupported(
      'model.byte_fallback',
      String(byteFallback),
      kind === 'byte-fallback' ? ['true with a ByteFallback decoder'] : ['false with a ByteLevel decoder'],
    )
  }
  const merges = model.array('merges')
  merges.forEach((merge, index) => {
    const isPair = Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string')
    if (!isPair && typeof merge !== 'string') throw wrongType(`model.merges[${index}]`, merge, 'a string or two')
  })
  const unknown = model.has('unk_token') ? model.string('unk_token') : null
  if (unknown !== null && !vocab.some(([token]) => token === unknown)) {
    throw new TokenizerError('vocab', `The unknown token ${JSON.stringify(unknown)} is not in the vocabulary.`, {
      token: unknown,
    })
  }
  return {
    type: 'BPE',
    dropout: null,
    unk_token: unknown,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: model.boolean('fuse_unk', false),
    byte_fallback: byteFallback,
    ignore_merges: model.boolean('ignore_merges', false),
    vocab: Object.fromEntries(vocab),
    merges,
  }
}

/** Decoding is done from the tokens' bytes, so the decoder only says which of two kinds they are. */
function readDecoder(root: FieldReader): { kind: VocabularyKind; strippedSpaces: 0 | 1 } {
  const decoder = root.fields('decoder')
  const type = decoder.string('type')
  if (type === 'ByteLevel') return { kind: 'byte-level', strippedSpaces: 0 }
  const known = ['ByteLevel', 'Sequence of Replace ▁, ByteFallback, Fuse and at most one Strip']
  if (type !== 'Sequence') throw unsupported('decoder', type, known)
  const parts = decoder.array('decoders').map((value, index) => FieldReader.of(value, `decoder.decoders[${index}]`))
  const types = parts.map((part) => part.string('type')).join(' ')
  const [replace, , , strip] = parts
  const isKnown =
    /^Replace ByteFallback Fuse( Strip)?$/.test(types) &&
    replace!.fields('pattern').string('String', '') === '▁' &&
    replace!.string('content') === ' ' &&
    (!strip || (strip.string('content') === ' ' && strip.integer('stop', { min: 0, max: 0, fallback: 0 }) === 0))
  if (!isKnown) throw unsupported('decoder', types, known)
  return { kind: 'byte-fallback', strippedSpaces: strip?.integer('start', { min: 0, max: 1 }) === 1 ? 1 : 0 }
}
