import type { Token } from '@hass-engine/core'
import { byteLevelBytes } from './byte-level.js'
import { TokenizerError } from './errors.js'

/** How a vocabulary writes bytes: in GPT-2's byte alphabet, or as text with `<0x00>` … `<0xFF>` for what has no token. */
export type VocabularyKind = 'byte-level' | 'byte-fallback'

/** Ids beyond this are refused before anything of that size is allocated; the largest known vocabularies have 2^18. */
const maxIds = 2 ** 22
const utf8 = new TextEncoder()
const noBytes = new Uint8Array(0)

/** Which token has which id, and which bytes it stands for. Ids may have holes. */
export class Vocabulary {
  /** One more than the largest id. */
  readonly size: number
  private readonly tokens: (string | undefined)[] = []
  private readonly ids = new Map<string, Token>()
  private readonly byteTables: (Uint8Array | undefined)[] = []

  /**
   * @param entries tokens and ids, an added token's after the model's
   * @param specialIds ids that `skipSpecialTokens` leaves out
   * @throws TokenizerError `HASS_ERR_TOKENIZER_VOCAB` for an id that is no integer in range or has two tokens, or a
   * malformed byte token
   */
  constructor(
    readonly kind: VocabularyKind,
    entries: Iterable<readonly [string, unknown]>,
    private readonly specialIds: ReadonlySet<Token>,
  ) {
    let size = 0
    for (const [token, id] of entries) {
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= maxIds) {
        throw vocabularyError(`Token ${quote(token)} has the id ${id}, expected an integer from 0 to ${maxIds - 1}.`, {
          token,
          id,
        })
      }
      const other = this.tokens[id]
      if (other !== undefined && other !== token) {
        throw vocabularyError(`Tokens ${quote(other)} and ${quote(token)} both have the id ${id}.`, {
          id,
          token,
          other,
        })
      }
      const otherId = this.ids.get(token)
      if (otherId !== undefined && otherId !== id) {
        throw vocabularyError(`Token ${quote(token)} has the ids ${otherId} and ${id}.`, { token, ids: [otherId, id] })
      }
      this.tokens[id] = token
      this.ids.set(token, id)
      size = Math.max(size, id + 1)
    }
    if (size === 0) throw vocabularyError('The vocabulary is empty.', {})
    this.size = size
    if (kind === 'byte-fallback') this.checkByteTokens()
  }

  token(id: Token): string | undefined {
    return this.tokens[id]
  }

  id(token: string): Token | undefined {
    return this.ids.get(token)
  }

  has(id: Token): boolean {
    return this.tokens[id] !== undefined
  }

  isSpecial(id: Token): boolean {
    return this.specialIds.has(id)
  }

  /** The byte of a byte token `<0x..>` of a byte-fallback vocabulary. */
  fallbackByte(id: Token): number | undefined {
    const token = this.kind === 'byte-fallback' ? this.tokens[id] : undefined
    return token !== undefined && isByteToken(token) ? Number.parseInt(token.slice(3, 5), 16) : undefined
  }

  /** The bytes an id stands for; none for a hole. Shared: not to be changed. */
  bytes(id: Token): Uint8Array {
    let bytes = this.byteTables[id]
    if (!bytes) {
      bytes = this.computeBytes(id)
      this.byteTables[id] = bytes
    }
    return bytes
  }

  private computeBytes(id: Token): Uint8Array {
    const token = this.tokens[id]
    if (token === undefined) return noBytes
    if (this.kind === 'byte-level') return byteLevelBytes(token)
    const byte = this.fallbackByte(id)
    return byte === undefined ? utf8.encode(token.replaceAll('▁', ' ')) : Uint8Array.of(byte)
  }

  private checkByteTokens(): void {
    for (const [token, id] of this.ids) {
      if (/^<0x.*>$/s.test(token) && !isByteToken(token)) {
        throw vocabularyError(`Token ${id} is ${quote(token)}: a byte token reads <0x00> to <0xFF>.`, { token, id })
      }
    }
    for (let byte = 0; byte < 256; byte++) {
      const token = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
      if (!this.ids.has(token)) throw vocabularyError(`The byte token ${token} is missing.`, { token })
    }
  }
}

function isByteToken(token: string): boolean {
  return /^<0x[0-9A-F]{2}>$/.test(token)
}

function quote(token: string): string {
  return JSON.stringify(token.slice(0, 40))
}

function vocabularyError(message: string, details: Readonly<Record<string, unknown>>): TokenizerError {
  return new TokenizerError('vocab', message, details)
}
