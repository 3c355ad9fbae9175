import { checkOptionKeys } from '@hass-engine/core'
import type { ChatTemplateSources } from './chat.js'
import { checkTokenizerOptions, type TokenizerOptions, tokenizerOptionKeys } from './create-tokenizer.js'
import { readDefinition } from './definition.js'
import { TokenizerError } from './errors.js'
import { GgufFields, type GgufMetadata } from './gguf-metadata.js'
import { unsupported, wrongType } from './json-fields.js'
import { mergesByScore } from './merges-by-score.js'
import { ggufPreTokenizers } from './patterns.js'
import { Tokenizer } from './tokenizer.js'

/** GGUF's `tokenizer.ggml.token_type`. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

interface GgufVocabulary {
  readonly fields: GgufFields
  readonly tokens: readonly string[]
  readonly types: ArrayLike<number>
}

/**
 * Builds a tokenizer from a GGUF file's metadata: `tokenizer.ggml.model` = `gpt2` (byte-level BPE, cut as
 * `tokenizer.ggml.pre` says) or `llama` (SentencePiece BPE with byte tokens).
 *
 * @param metadata keys and values as in the file; arrays may be typed, 64-bit numbers bigint
 * @throws TokenizerError `HASS_ERR_TOKENIZER_FORMAT`, `_UNSUPPORTED` or `_VOCAB`
 */
export function createTokenizerFromGguf(metadata: GgufMetadata, options: TokenizerOptions = {}): Tokenizer {
  checkOptionKeys(options, tokenizerOptionKeys, 'createTokenizerFromGguf')
  checkTokenizerOptions(options)
  const fields = new GgufFields(metadata)
  const tokens = fields.strings('tokenizer.ggml.tokens')
  const types = fields.numbers('tokenizer.ggml.token_type', tokens.length) ?? new Uint8Array(tokens.length).fill(1)
  checkTokens(tokens, types)
  const vocabulary = { fields, tokens, types }
  const model = fields.string('tokenizer.ggml.model') ?? ''
  const readers = { gpt2: byteLevelBpe, llama: sentencePieceBpe }
  if (!Object.hasOwn(readers, model)) throw unsupported('tokenizer.ggml.model', model, Object.keys(readers))
  const definition = readDefinition(readers[model as keyof typeof readers](vocabulary))
  const id = (name: string) => fields.id(`tokenizer.ggml.${name}_token_id`)
  const named = { bos: id('bos'), eos: id('eos'), pad: id('padding'), unk: id('unknown') }
  return new Tokenizer({
    definition,
    chatTemplates: chatTemplates(fields, options.chatTemplate),
    specialTokens: Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
    endIds: [id('eot'), id('eom')].filter((value) => value !== undefined),
    embeddingRows: options.embeddingRows,
    templateLimits: options.templateLimits,
  })
}

function byteLevelBpe({ fields, tokens, types }: GgufVocabulary) {
  // What no converter recognised is cut as the format's reference implementation cuts it.
  const pre = fields.string('tokenizer.ggml.pre') ?? 'default'
  const preTokenizer = ggufPreTokenizers.get(pre)
  if (!preTokenizer) throw unsupported('tokenizer.ggml.pre', pre, [...ggufPreTokenizers.keys()])
  const splits = preTokenizer.splits.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }))
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }
  const hasPrefixSpace = fields.boolean('tokenizer.ggml.add_space_prefix', false)
  if (hasPrefixSpace) throw unsupported('tokenizer.ggml.add_space_prefix', 'true', ['false for gpt2'])
  return {
    added_tokens: addedTokens(tokens, types),
    normalizer: preTokenizer.isComposed ? { type: 'NFC' } : null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, byteLevel] },
    post_processor: postProcessor(fields, tokens, preTokenizer.addBos ?? false),
    decoder: byteLevel,
    model: {
      type: 'BPE',
      ignore_merges: preTokenizer.ignoreMerges ?? false,
      vocab: vocabOf(tokens),
      merges: fields.strings('tokenizer.ggml.merges'),
    },
  }
}

function sentencePieceBpe({ fields, tokens, types }: GgufVocabulary) {
  const scores = fields.numbers('tokenizer.ggml.scores', tokens.length)
  if (!scores) throw wrongType('tokenizer.ggml.scores', undefined, `an array of ${tokens.length} numbers`)
  if (fields.value('tokenizer.ggml.precompiled_charsmap') !== undefined) {
    throw unsupported('tokenizer.ggml.precompiled_charsmap', 'a character map', ['none'])
  }
  const hasPrefixSpace = fields.boolean('tokenizer.ggml.add_space_prefix', true)
  const unknown = tokens[fields.id('tokenizer.ggml.unknown_token_id') ?? 0]
  const replaceSpace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  return {
    added_tokens: addedTokens(tokens, types),
    normalizer: {
      type: 'Sequence',
      normalizers: [...(hasPrefixSpace ? [{ type: 'Prepend', prepend: '▁' }] : []), replaceSpace],
    },
    pre_tokenizer: null,
    post_processor: postProcessor(fields, tokens, true),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(hasPrefixSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      unk_token: unknown ?? null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: vocabOf(tokens),
      merges: mergesByScore(tokens, scores, (id) => types[id] === tokenTypes.normal),
    },
  }
}

function checkTokens(tokens: readonly string[], types: ArrayLike<number>): void {
  const seen = new Map<string, number>()
  const known: readonly number[] = Object.values(tokenTypes)
  tokens.forEach((token, id) => {
    const type = types[id]!
    const other = seen.get(token)
    seen.set(token, id)
    const isByte = type !== tokenTypes.byte || /^<0x[0-9A-F]{2}>$/.test(token)
    if (other === undefined && isByte && known.includes(type)) return
    const problem =
      other !== undefined
        ? `is the same as token ${other}`
        : isByte
          ? `has the unknown type ${type}`
          : 'is marked as a byte; bytes read <0x00> to <0xFF>'
    throw new TokenizerError('vocab', `Token ${id}, ${JSON.stringify(token.slice(0, 40))}, ${problem}.`, {
      id,
      token,
      type,
    })
  })
}

function vocabOf(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]))
}

function addedTokens(tokens: readonly string[], types: ArrayLike<number>) {
  return tokens.flatMap((content, id) => {
    const special = types[id] === tokenTypes.control || types[id] === tokenTypes.unknown
    return special || types[id] === tokenTypes.userDefined ? [{ id, content, special, normalized: false }] : []
  })
}

/** Adds the beginning-of-text and end-of-text tokens, where the metadata asks for them. */
function postProcessor(fields: GgufFields, tokens: readonly string[], addsBos: boolean) {
  const piece = (key: 'bos' | 'eos', isAdded: boolean) => {
    const id = fields.id(`tokenizer.ggml.${key}_token_id`)
    const token = id === undefined ? undefined : tokens[id]
    return isAdded && id !== undefined && token !== undefined ? [{ id, token }] : []
  }
  const bos = piece('bos', fields.boolean('tokenizer.ggml.add_bos_token', addsBos))
  const eos = piece('eos', fields.boolean('tokenizer.ggml.add_eos_token', false))
  if (bos.length + eos.length === 0) return null
  const toPiece = ({ token }: { token: string }) => ({ SpecialToken: { id: token, type_id: 0 } })
  return {
    type: 'TemplateProcessing',
    single: [...bos.map(toPiece), { Sequence: { id: 'A', type_id: 0 } }, ...eos.map(toPiece)],
    special_tokens: Object.fromEntries(
      [...bos, ...eos].map(({ id, token }) => [token, { id: token, ids: [id], tokens: [token] }]),
    ),
  }
}

function chatTemplates(fields: GgufFields, own: string | undefined): ChatTemplateSources {
  if (own !== undefined) return new Map([['default', own]])
  const sources = new Map<string, string>()
  const main = fields.string('tokenizer.chat_template')
  if (main !== undefined) sources.set('default', main)
  const names = fields.value('tokenizer.chat_templates') === undefined ? [] : fields.strings('tokenizer.chat_templates')
  for (const name of names) {
    const source = fields.string(`tokenizer.chat_template.${name}`)
    if (source !== undefined) sources.set(name, source)
  }
  return sources
}
