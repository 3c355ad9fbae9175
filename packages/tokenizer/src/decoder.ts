import { checkOptionKeys, type Token } from '@hass-engine/core'
import { TokenizerError } from './errors.js'
import type { Vocabulary } from './vocabulary.js'

export interface DecodeOptions {
  /** Leaves out tokens that the vocabulary calls special. Defaults to false. */
  readonly skipSpecialTokens?: boolean
}

/** What decoding needs to know of a tokenizer. */
export interface DecodingRules {
  readonly vocabulary: Vocabulary
  /** Spaces taken off the front of the text. */
  readonly strippedSpaces: 0 | 1
  /** Ids from here on are refused; ids below it without a token decode to nothing. */
  readonly idLimit: number
}

const replacement = '\ufffd'

/** The text of whole sequences of ids; what is cut off mid-character becomes U+FFFD. */
export function decodeTokens(rules: DecodingRules, ids: ArrayLike<Token>, options: DecodeOptions = {}): string {
  checkOptionKeys(options, ['skipSpecialTokens'], 'decode')
  return rules.vocabulary.kind === 'byte-level'
    ? decodeByteLevel(rules, ids, options)
    : decodeByteFallback(rules, ids, options)
}

function* visibleIds(rules: DecodingRules, ids: ArrayLike<Token>, options: DecodeOptions): Iterable<Token> {
  for (let i = 0; i < ids.length; i++) {
    const id = checkId(rules, ids[i]!)
    if (!(options.skipSpecialTokens && rules.vocabulary.isSpecial(id))) yield id
  }
}

function checkId(rules: DecodingRules, id: unknown): Token {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < rules.idLimit) return id
  throw new TokenizerError(
    'vocab',
    `Id ${String(id).slice(0, 40)} cannot be decoded: ids of this vocabulary are integers from 0 to ${rules.idLimit - 1}.`,
    { id, idLimit: rules.idLimit },
  )
}

function decodeByteLevel(rules: DecodingRules, ids: ArrayLike<Token>, options: DecodeOptions): string {
  const parts: Uint8Array[] = []
  for (const id of visibleIds(rules, ids, options)) parts.push(rules.vocabulary.bytes(id))
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts))
}

/** A run of byte tokens is UTF-8 as a whole, or every one of its bytes becomes U+FFFD. */
function decodeByteFallback(rules: DecodingRules, ids: ArrayLike<Token>, options: DecodeOptions): string {
  let text = ''
  let run: number[] = []
  const endRun = () => {
    if (run.length > 0) text += decodeRun(Uint8Array.from(run))
    run = []
  }
  for (const id of visibleIds(rules, ids, options)) {
    const byte = rules.vocabulary.fallbackByte(id)
    if (byte === undefined) {
      endRun()
      text += (rules.vocabulary.token(id) ?? '').replaceAll('▁', ' ')
    } else {
      run.push(byte)
    }
  }
  endRun()
  return rules.strippedSpaces === 1 && text.startsWith(' ') ? text.slice(1) : text
}

function decodeRun(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(bytes)
  } catch {
    return replacement.repeat(bytes.length)
  }
}

/** Turns ids that arrive one by one into text: never half a character, nothing taken back. */
export interface StreamDecoder {
  /** The text that these ids complete; empty while a character is incomplete. */
  push(ids: Token | ArrayLike<Token>): string
  /** What an incomplete character at the end leaves behind (U+FFFD or nothing); the decoder then begins anew. */
  flush(): string
}

/** A new stream over a vocabulary. */
export function createTokenStream(rules: DecodingRules, options: DecodeOptions = {}): StreamDecoder {
  checkOptionKeys(options, ['skipSpecialTokens'], 'createStreamDecoder')
  const characters = rules.vocabulary.kind === 'byte-level' ? byteLevelCharacters(rules) : fallbackCharacters(rules)
  let spacesToStrip: number = rules.strippedSpaces
  const strip = (text: string) => {
    if (spacesToStrip === 0 || text === '') return text
    spacesToStrip = 0
    return text.startsWith(' ') ? text.slice(1) : text
  }
  return {
    push(ids) {
      let text = ''
      for (const id of visibleIds(rules, typeof ids === 'number' ? [ids] : ids, options)) text += characters.push(id)
      return strip(text)
    },
    flush() {
      const text = strip(characters.flush())
      spacesToStrip = rules.strippedSpaces
      return text
    },
  }
}

interface CharacterStream {
  push(id: Token): string
  flush(): string
}

function byteLevelCharacters({ vocabulary }: DecodingRules): CharacterStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    push: (id) => decoder.decode(vocabulary.bytes(id), { stream: true }),
    flush: () => decoder.decode(),
  }
}

/** As `decodeByteFallback`, but characters of a run leave as soon as they are whole. */
function fallbackCharacters({ vocabulary }: DecodingRules): CharacterStream {
  let pending: number[] = []
  let isRunInvalid = false
  const flush = () => {
    const text = replacement.repeat(pending.length)
    pending = []
    isRunInvalid = false
    return text
  }
  return {
    flush,
    push(id) {
      const byte = vocabulary.fallbackByte(id)
      if (byte === undefined) return flush() + (vocabulary.token(id) ?? '').replaceAll('▁', ' ')
      pending.push(byte)
      // Once a run is known to be no UTF-8, all that follows in it is shown as invalid.
      const state = isRunInvalid ? 'invalid' : utf8State(pending)
      if (state === 'incomplete') return ''
      const bytes = Uint8Array.from(pending)
      pending = []
      isRunInvalid = state === 'invalid'
      return isRunInvalid ? replacement.repeat(bytes.length) : decodeRun(bytes)
    },
  }
}

/** Whether bytes are one character, the beginning of one, or neither (RFC 3629, section 4). */
function utf8State(bytes: readonly number[]): 'complete' | 'incomplete' | 'invalid' {
  const lead = bytes[0]!
  const length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4
  if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4) return 'invalid'
  for (let i = 1; i < bytes.length; i++) {
    const min = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const max = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (bytes[i]! < min || bytes[i]! > max) return 'invalid'
  }
  return bytes.length === length ? 'complete' : 'incomplete'
}
