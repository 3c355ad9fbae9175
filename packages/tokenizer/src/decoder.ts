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
  return decodeBytes(parts)
}

function decodeBytes(parts: readonly Uint8Array[]): string {
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
  /** What is still held back, an incomplete character as U+FFFD; the decoder then begins anew. */
  flush(): string
}

/** Whole characters beyond this are not held back any longer. */
const maxHeldLength = 64

/**
 * A new stream over a vocabulary.
 *
 * Text leaves token by token. A token that ends inside a character, or in U+FFFD (which may be the beginning of one),
 * waits for what follows: the rule of the `DecodeStream` of Hugging Face's tokenizers.
 */
export function createTokenStream(rules: DecodingRules, options: DecodeOptions = {}): StreamDecoder {
  checkOptionKeys(options, ['skipSpecialTokens'], 'createStreamDecoder')
  const characters = rules.vocabulary.kind === 'byte-level' ? byteLevelCharacters(rules) : fallbackCharacters(rules)
  let spacesToStrip: number = rules.strippedSpaces
  let held = ''
  const release = () => {
    const text = spacesToStrip > 0 && held.startsWith(' ') ? held.slice(1) : held
    if (held !== '') spacesToStrip = 0
    held = ''
    return text
  }
  return {
    push(ids) {
      let text = ''
      for (const id of visibleIds(rules, typeof ids === 'number' ? [ids] : ids, options)) {
        held += characters.push(id)
        const isWhole = !characters.isInside() && !held.endsWith(replacement)
        if (isWhole || held.length > maxHeldLength) text += release()
      }
      return text
    },
    flush() {
      held += characters.flush()
      const text = release()
      spacesToStrip = rules.strippedSpaces
      return text
    },
  }
}

/** Whole characters only; what is not valid becomes U+FFFD as soon as that is certain. */
interface CharacterStream {
  push(id: Token): string
  /** True if the beginning of a character waits for its rest. */
  isInside(): boolean
  flush(): string
}

function byteLevelCharacters({ vocabulary }: DecodingRules): CharacterStream {
  let pending: Uint8Array = new Uint8Array(0)
  return {
    push(id) {
      const bytes = Buffer.concat([pending, vocabulary.bytes(id)])
      const whole = bytes.length - incompleteTail(bytes)
      pending = bytes.subarray(whole)
      return decodeBytes([bytes.subarray(0, whole)])
    },
    isInside: () => pending.length > 0,
    flush() {
      const text = decodeBytes([pending])
      pending = new Uint8Array(0)
      return text
    },
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
    isInside: () => pending.length > 0,
    push(id) {
      const byte = vocabulary.fallbackByte(id)
      if (byte === undefined) return flush() + (vocabulary.token(id) ?? '').replaceAll('▁', ' ')
      pending.push(byte)
      // Once a run is known to be no UTF-8, all that follows in it is shown as invalid.
      const state = isRunInvalid ? 'invalid' : utf8State(pending)
      if (state === 'incomplete') return ''
      isRunInvalid = state === 'invalid'
      const text = isRunInvalid ? replacement.repeat(pending.length) : decodeRun(Uint8Array.from(pending))
      pending = []
      return text
    },
  }
}

/** The number of bytes at the end that are the beginning of a character. */
function incompleteTail(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const tail = bytes.subarray(bytes.length - length)
    const isContinuation = (tail[0]! & 0xc0) === 0x80
    if (!isContinuation) return utf8State(tail) === 'incomplete' ? length : 0
  }
  return 0
}

/** Whether bytes are one character, the beginning of one, or neither (RFC 3629, section 4). */
function utf8State(bytes: ArrayLike<number>): 'complete' | 'incomplete' | 'invalid' {
  const lead = bytes[0]!
  if (lead < 0x80) return bytes.length === 1 ? 'complete' : 'invalid'
  if (lead < 0xc2 || lead > 0xf4) return 'invalid'
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  for (let i = 1; i < bytes.length; i++) {
    const min = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const max = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (bytes[i]! < min || bytes[i]! > max) return 'invalid'
  }
  if (bytes.length > length) return 'invalid'
  return bytes.length === length ? 'complete' : 'incomplete'
}
