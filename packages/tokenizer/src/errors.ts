import { HassError, type HassErrorCode, type HassErrorDetails } from '@hass-engine/core'

/** Every error code of this package and when it is thrown. Permanent: a published code keeps its meaning. */
export const tokenizerErrorCodes = {
  /** A tokenizer file is missing, unreadable, too large, or no JSON. */
  file: 'HASS_ERR_TOKENIZER_FILE',
  /** A field of a tokenizer file or of GGUF metadata is missing, or of the wrong type or range. */
  format: 'HASS_ERR_TOKENIZER_FORMAT',
  /** A well-formed tokenizer uses a model or component that this package does not run. */
  unsupported: 'HASS_ERR_TOKENIZER_UNSUPPORTED',
  /** Ids, tokens, merges or byte tokens contradict one another, or an id lies outside the vocabulary. */
  vocab: 'HASS_ERR_TOKENIZER_VOCAB',
  /** A pre-tokenizer pattern is none of the known ones; a model file's own patterns are never run. */
  regex: 'HASS_ERR_TOKENIZER_REGEX',
  /** The native tokenizer binding has no binary for this platform, or failed. */
  binding: 'HASS_ERR_TOKENIZER_BINDING',
  /** The tokenizer has no chat template. */
  templateMissing: 'HASS_ERR_TEMPLATE_MISSING',
  /** A chat template cannot be parsed. */
  templateSyntax: 'HASS_ERR_TEMPLATE_SYNTAX',
  /** A chat template failed while rendering, or refused the conversation itself (`raise_exception`). */
  templateRender: 'HASS_ERR_TEMPLATE_RENDER',
  /** A chat template passed its bound of steps, depth or size. */
  templateLimit: 'HASS_ERR_TEMPLATE_LIMIT',
  /** It cannot be decided which characters of a rendered chat are the assistant's. */
  lossMask: 'HASS_ERR_LOSS_MASK',
} as const satisfies Record<string, HassErrorCode>

/** What went wrong with a vocabulary, its files, its chat template or the native binding; see `code`. */
export class TokenizerError extends HassError {
  override readonly name = 'TokenizerError'
  constructor(
    kind: keyof typeof tokenizerErrorCodes,
    message: string,
    details: HassErrorDetails = {},
    options: { cause?: unknown } = {},
  ) {
    super(tokenizerErrorCodes[kind], message, { details, ...options })
  }
}
