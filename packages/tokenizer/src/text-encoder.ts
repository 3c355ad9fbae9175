import { randomBytes } from 'node:crypto'
import { checkOptionKeys } from '@hass-engine/core'
import { type AddedToken, isControlToken } from './added-token.js'
import { createNativeTokenizer, type NativeTokenizer } from './binding.js'
import type { TokenizerDefinition } from './definition.js'
import { TokenizerError } from './errors.js'
import { toUtf16Offsets } from './offsets.js'

export interface EncodeOptions {
  /** Adds what the vocabulary's post-processor adds, such as a beginning-of-text token. Defaults to false. */
  readonly addSpecialTokens?: boolean
  /** Reads control tokens such as `<|im_end|>` out of the text. Only for text that you wrote. Defaults to false. */
  readonly parseSpecialTokens?: boolean
  /** Defaults to false. */
  readonly withOffsets?: boolean
}

/** An encoded text. */
export interface TextEncoding {
  /** `[tokens]` */
  readonly ids: Uint32Array
  /** `[tokens, 2] uint32` row-major, start and end of each token in UTF-16 units of the text; only if asked for. */
  readonly offsets?: Uint32Array
}

const encodeOptionKeys = ['addSpecialTokens', 'parseSpecialTokens', 'withOffsets']

/**
 * Text → ids, with control tokens recognised or not.
 *
 * The native tokenizer always recognises its control tokens. For text that contains one which must stay text, a second
 * native tokenizer is built, whose control tokens have secret names: what is trusted is renamed, the rest stays.
 */
export class VocabularyEncoder {
  private readonly native: NativeTokenizer
  private readonly controlTokens: readonly AddedToken[]
  private readonly controlPattern: RegExp | undefined
  private guarded: { native: NativeTokenizer; names: ReadonlyMap<string, string> } | undefined

  constructor(private readonly definition: TokenizerDefinition) {
    this.native = createNativeTokenizer(definition.json)
    for (const { content, id } of definition.addedTokens) {
      const found = this.native.tokenToId(content)
      if (found === id || content === '') continue
      throw new TokenizerError(
        'vocab',
        `Added token ${JSON.stringify(content.slice(0, 40))} is listed with id ${id}, but its place gives it ${found}.`,
        { token: content, id, found },
      )
    }
    this.controlTokens = definition.addedTokens.filter((token) => isControlToken(token) && token.content !== '')
    const contents = this.controlTokens.map((token) => token.content).sort((a, b) => b.length - a.length)
    if (contents.length > 0) this.controlPattern = new RegExp(contents.map(escapePattern).join('|'), 'gu')
  }

  /** Puts `mark` behind the first character of every control token in the text, so that it is none any more. */
  breakControlTokens(text: string, mark: string): string {
    if (!this.controlPattern) return text
    return text.replace(this.controlPattern, (token) => {
      const first = String.fromCodePoint(token.codePointAt(0)!)
      return first + mark + token.slice(first.length)
    })
  }

  async encode(text: string, options: EncodeOptions = {}): Promise<TextEncoding> {
    checkOptionKeys(options, encodeOptionKeys, 'encode')
    const { parseSpecialTokens = false } = options
    const wellFormed = toWellFormed(text)
    const isSame = parseSpecialTokens || !this.mayHoldControlTokens(wellFormed)
    return encodeWith(isSame ? this.native : this.guard().native, wellFormed, options)
  }

  /**
   * Encodes text whose control tokens are parsed, but for those that `mark` breaks; the marks are taken out.
   *
   * Offsets refer to the text without marks.
   */
  async encodeMarked(marked: string, mark: string, withOffsets: boolean): Promise<TextEncoding> {
    if (!marked.includes(mark)) return encodeWith(this.native, toWellFormed(marked), { withOffsets })
    const { native, names } = this.guard()
    let renamed = ''
    // Where the renamed text and the text with neither names nor marks correspond.
    const stops: { renamed: number; plain: number }[] = [{ renamed: 0, plain: 0 }]
    let plain = 0
    let from = 0
    const pattern = new RegExp(`${mark}|${this.controlPattern!.source}`, 'gu')
    for (const match of marked.matchAll(pattern)) {
      const between = marked.slice(from, match.index)
      const token = match[0] === mark ? '' : match[0]
      renamed += between + (names.get(token) ?? '')
      plain += between.length + token.length
      stops.push({ renamed: renamed.length - (names.get(token)?.length ?? 0), plain: plain - token.length })
      stops.push({ renamed: renamed.length, plain })
      from = match.index + match[0].length
    }
    renamed += marked.slice(from)
    const encoding = await encodeWith(native, toWellFormed(renamed), { withOffsets })
    if (!encoding.offsets) return encoding
    return { ids: encoding.ids, offsets: encoding.offsets.map((at) => mapPosition(stops, at)) }
  }

  private mayHoldControlTokens(text: string): boolean {
    if (!this.controlPattern) return false
    // A regular expression with the flag g remembers where it stopped.
    this.controlPattern.lastIndex = 0
    return this.definition.areControlTokensNormalized || this.controlPattern.test(text)
  }

  private guard() {
    if (this.guarded) return this.guarded
    // Nobody outside can know the names, so that no text can contain one.
    const secret = randomBytes(12).toString('hex')
    const names = new Map(this.controlTokens.map(({ content }, index) => [content, `\ufdd0${secret}.${index}\ufdd0`]))
    const definition = JSON.parse(this.definition.json) as {
      added_tokens: { content: string }[]
      model: { vocab: Record<string, number> }
    }
    definition.added_tokens = definition.added_tokens.map((token) => ({
      ...token,
      content: names.get(token.content) ?? token.content,
    }))
    definition.model.vocab = Object.fromEntries(
      Object.entries(definition.model.vocab).map(([token, id]) => [names.get(token) ?? token, id]),
    )
    this.guarded = { native: createNativeTokenizer(JSON.stringify(definition)), names }
    return this.guarded
  }
}

async function encodeWith(native: NativeTokenizer, text: string, options: EncodeOptions): Promise<TextEncoding> {
  const encoding = await native
    .encode(text, null, { addSpecialTokens: options.addSpecialTokens ?? false })
    .catch((cause: unknown) => {
      throw new TokenizerError('binding', `The native tokenizer failed: ${String(cause).slice(0, 200)}.`, {}, { cause })
    })
  const ids = Uint32Array.from(encoding.getIds())
  return options.withOffsets ? { ids, offsets: toUtf16Offsets(text, encoding.getOffsets()) } : { ids }
}

/** Lone surrogates have no UTF-8: each becomes U+FFFD, which takes as many UTF-16 units. */
function toWellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd')
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function mapPosition(stops: readonly { renamed: number; plain: number }[], at: number): number {
  let low = 0
  let high = stops.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (stops[middle]!.renamed <= at) low = middle
    else high = middle - 1
  }
  const stop = stops[low]!
  return stop.plain + at - stop.renamed
}
