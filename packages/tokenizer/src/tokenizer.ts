import { type ChatMessage, checkOptionKeys, type Token } from '@hass-engine/core'
import { type ChatOptions, ChatRenderer, type ChatTemplateSources, chatOptionKeys } from './chat.js'
import {
  createTokenStream,
  type DecodeOptions,
  type DecodingRules,
  decodeTokens,
  type StreamDecoder,
} from './decoder.js'
import type { TokenizerDefinition } from './definition.js'
import { TokenizerError } from './errors.js'
import { findAssistantTurns, maskOfTurns } from './loss-mask.js'
import { takeOutMarks, unusedMarks } from './marks.js'
import { endOfGenerationIds, type SpecialTokens } from './special-tokens.js'
import type { TemplateLimits } from './template-interpreter.js'
import { type EncodeOptions, type TextEncoding, VocabularyEncoder } from './text-encoder.js'

export interface EncodeChatOptions extends ChatOptions {
  /** Reads control tokens out of the messages' own text as well. Defaults to false: only the template's count. */
  readonly parseSpecialTokens?: boolean
  /** Defaults to false. */
  readonly withOffsets?: boolean
}

/** A rendered and encoded conversation. */
export interface ChatEncoding extends TextEncoding {
  readonly text: string
}

/** A conversation to learn from. */
export interface MaskedChatEncoding extends Required<TextEncoding> {
  readonly text: string
  /** `[tokens] uint8`, 1 for what the assistant says, the token that ends its turn included */
  readonly lossMask: Uint8Array
}

/** What a tokenizer is made of; the `load…` and `create…` functions put it together. */
export interface TokenizerParts {
  readonly definition: TokenizerDefinition
  readonly chatTemplates: ChatTemplateSources
  readonly specialTokens: SpecialTokens
  /** Ids that a generation configuration names as ends, beside `specialTokens.eos`. */
  readonly endIds: readonly Token[]
  readonly embeddingRows?: number | undefined
  readonly templateLimits?: TemplateLimits | undefined
}

/** Text ⇄ token ids of one vocabulary, with its chat template. Made by `loadTokenizer`, `createTokenizer` or `createTokenizerFromGguf`. */
export class Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number
  readonly specialTokens: SpecialTokens
  /** Ids after which a generation ends, ascending. */
  readonly endOfGenerationIds: readonly Token[]
  private readonly definition: TokenizerDefinition
  private readonly encoder: VocabularyEncoder
  private readonly rules: DecodingRules
  private readonly chat: ChatRenderer
  private readonly endIds: ReadonlySet<Token>

  constructor(parts: TokenizerParts) {
    const { definition, specialTokens, embeddingRows } = parts
    const { vocabulary, addedTokens, strippedSpaces } = definition
    for (const [name, id] of [...Object.entries(specialTokens), ...parts.endIds.map((id) => ['end', id] as const)]) {
      if (vocabulary.has(id)) continue
      throw new TokenizerError('vocab', `The ${name} token has the id ${id}, which is not in the vocabulary.`, { id })
    }
    if (embeddingRows !== undefined && vocabulary.size > embeddingRows) {
      throw new TokenizerError(
        'vocab',
        `The vocabulary has ids up to ${vocabulary.size - 1}, but the model's embedding has ${embeddingRows} rows: tokenizer and weights do not belong together.`,
        { vocabSize: vocabulary.size, embeddingRows },
      )
    }
    this.definition = definition
    this.vocabSize = vocabulary.size
    this.specialTokens = specialTokens
    this.encoder = new VocabularyEncoder(definition)
    this.rules = { vocabulary, strippedSpaces, idLimit: Math.max(vocabulary.size, embeddingRows ?? 0) }
    const addedIds = new Set(addedTokens.map((token) => token.id))
    const configuredEnds = [...(specialTokens.eos === undefined ? [] : [specialTokens.eos]), ...parts.endIds]
    this.endOfGenerationIds = endOfGenerationIds(vocabulary, (id) => addedIds.has(id), configuredEnds)
    this.endIds = new Set(this.endOfGenerationIds)
    const texts = Object.entries(specialTokens).map(([name, id]) => [`${name}_token`, vocabulary.token(id as Token)])
    this.chat = new ChatRenderer(parts.chatTemplates, Object.fromEntries(texts), parts.templateLimits ?? {})
  }

  /**
   * Encodes a text, off the main thread. Lone surrogates become U+FFFD.
   *
   * @throws TokenizerError `HASS_ERR_TOKENIZER_BINDING`
   */
  encode(text: string, options: EncodeOptions = {}): Promise<TextEncoding> {
    return this.encoder.encode(text, options)
  }

  /**
   * The text of ids; what is cut off mid-character becomes U+FFFD. Ids in holes of the vocabulary give nothing.
   *
   * @throws TokenizerError `HASS_ERR_TOKENIZER_VOCAB` for an id outside the vocabulary
   */
  decode(ids: ArrayLike<Token>, options: DecodeOptions = {}): string {
    return decodeTokens(this.rules, ids, options)
  }

  /** A decoder for ids that arrive one by one: it never shows half a character and takes nothing back. */
  createStreamDecoder(options: DecodeOptions = {}): StreamDecoder {
    return createTokenStream(this.rules, options)
  }

  /** The vocabulary's spelling of an id, such as `Ġthe`; undefined outside of it. */
  idToToken(id: Token): string | undefined {
    return this.definition.vocabulary.token(id)
  }

  tokenToId(token: string): Token | undefined {
    return this.definition.vocabulary.id(token)
  }

  /** A copy of the bytes that an id stands for: often no whole characters, none outside the vocabulary. */
  tokenBytes(id: Token): Uint8Array {
    return this.definition.vocabulary.bytes(id).slice()
  }

  /** Whether `skipSpecialTokens` leaves the id out. */
  isSpecialToken(id: Token): boolean {
    return this.definition.vocabulary.isSpecial(id)
  }

  isEndOfGeneration(id: Token): boolean {
    return this.endIds.has(id)
  }

  get hasChatTemplate(): boolean {
    return this.chat.isAvailable
  }

  /**
   * The text of a conversation by the model's chat template.
   *
   * @throws TokenizerError `HASS_ERR_TEMPLATE_MISSING`, `_SYNTAX`, `_RENDER` or `_LIMIT`; InvalidArgumentError for
   * messages that are no plain data
   */
  renderChat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    return this.chat.render(messages, options)
  }

  /** Renders and encodes a conversation; control tokens in the messages' own text stay text unless asked otherwise. */
  async encodeChat(messages: readonly ChatMessage[], options: EncodeChatOptions = {}): Promise<ChatEncoding> {
    const { parseSpecialTokens = false, withOffsets = false, ...chatOptions } = options
    checkOptionKeys(options, [...chatOptionKeys, 'parseSpecialTokens', 'withOffsets'], 'encodeChat')
    const fixed = { ...chatOptions, now: options.now ?? new Date() }
    const text = this.chat.render(messages, fixed)
    if (parseSpecialTokens) return { text, ...(await this.encode(text, { parseSpecialTokens, withOffsets })) }
    const mark = unusedMarks(1, [messages, fixed.tools, fixed.documents, fixed.variables])[0]!
    const mapText = (part: string) => this.encoder.breakControlTokens(part, mark)
    const marked = this.chat.render(messages, fixed, { mapText })
    if (takeOutMarks(marked, [mark]).text !== text) {
      throw new TokenizerError(
        'templateRender',
        'A message holds the text of a control token, and the chat template treats it in a special way: it cannot be told whose it is. Remove it from the message, or trust it with parseSpecialTokens: true.',
      )
    }
    return { text, ...(await this.encoder.encodeMarked(marked, mark, withOffsets)) }
  }

  /**
   * Renders and encodes a conversation for training: the mask is 1 on what the assistant says (from where the
   * generation prompt ends) and on the token that ends its turn.
   *
   * @throws TokenizerError `HASS_ERR_LOSS_MASK` where the template does not let that be decided
   */
  async encodeChatWithLossMask(
    messages: readonly ChatMessage[],
    options: Omit<EncodeChatOptions, 'addGenerationPrompt' | 'withOffsets'> = {},
  ): Promise<MaskedChatEncoding> {
    const { parseSpecialTokens = false, ...chatOptions } = options
    checkOptionKeys(
      options,
      [...chatOptionKeys.filter((key) => key !== 'addGenerationPrompt'), 'parseSpecialTokens'],
      'encodeChatWithLossMask',
    )
    const fixed = { ...chatOptions, now: options.now ?? new Date() }
    const encoding = await this.encodeChat(messages, { ...fixed, parseSpecialTokens, withOffsets: true })
    const masked = { ...encoding, offsets: encoding.offsets! }
    const turns = findAssistantTurns(this.chat, messages, fixed, encoding.text)
    return { ...masked, lossMask: maskOfTurns(turns, masked, (id) => this.endIds.has(id)) }
  }
}
