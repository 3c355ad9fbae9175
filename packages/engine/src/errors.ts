import { HassError } from '@hass-engine/core'

/** `HASS_ERR_CONTEXT_LENGTH`: the prompt leaves no room for a token. */
export class PromptTooLongError extends HassError {
  override readonly name = 'PromptTooLongError'
  constructor(promptTokens: number, maxContext: number) {
    super(
      'HASS_ERR_CONTEXT_LENGTH',
      `The prompt has ${promptTokens} tokens, the context holds ${maxContext} and an answer needs at least one: shorten the prompt or load the engine with a larger contextTokens.`,
      { details: { promptTokens, maxContext } },
    )
  }
}

/** `HASS_ERR_NO_DEFAULT_MODEL`: no model was named and the embedded one is not installed. */
export class NoDefaultModelError extends HassError {
  override readonly name = 'NoDefaultModelError'
  constructor(cause: unknown) {
    super(
      'HASS_ERR_NO_DEFAULT_MODEL',
      'No model was named, and @hass-engine/smollm2-135m-instruct is not installed: pass model, or install that package.',
      { cause },
    )
  }
}
