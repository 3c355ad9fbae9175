import { createRequire } from 'node:module'
import { TokenizerError } from './errors.js'

/** What is used of the native binding. */
export interface NativeTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: boolean }): Promise<NativeEncoding>
  tokenToId(token: string): number | null
}

export interface NativeEncoding {
  getIds(): number[]
  /** `[tokens][2]` in code points. */
  getOffsets(): number[][]
}

interface NativeModule {
  readonly Tokenizer: { fromString(json: string): NativeTokenizer }
}

const packageName = '@anush008/tokenizers'

/**
 * Builds the native tokenizer of a definition's JSON.
 *
 * @param require how the native package is found. Defaults to this module's own `require`
 * @throws TokenizerError `HASS_ERR_TOKENIZER_BINDING` where there is no binary for the platform,
 * `HASS_ERR_TOKENIZER_VOCAB` if merges and vocabulary contradict each other
 */
export function createNativeTokenizer(
  json: string,
  require: (name: string) => unknown = createRequire(import.meta.url),
): NativeTokenizer {
  let native: NativeModule
  try {
    native = require(packageName) as NativeModule
  } catch (cause) {
    throw new TokenizerError(
      'binding',
      `The native tokenizer ${packageName} has no binary for ${process.platform}-${process.arch}, or its optional package was not installed. ` +
        `Reinstall with optional dependencies (npm install --include=optional), or use one of Linux x64/arm64 (glibc, musl), macOS, Windows x64.`,
      { platform: process.platform, arch: process.arch },
      { cause },
    )
  }
  try {
    return native.Tokenizer.fromString(json)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TokenizerError(
      'vocab',
      `The native tokenizer refused the vocabulary: ${reason.replace(/ at line \d+ column \d+/g, '').slice(0, 200)}.`,
      {},
      { cause },
    )
  }
}
