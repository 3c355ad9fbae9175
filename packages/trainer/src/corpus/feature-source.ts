import type { Token } from '@hass-engine/core'
import type { TargetIdentity } from './target-identity.js'

/** A prompt to be continued by the target. */
export interface ResponseRequest {
  /** `[T]` */
  readonly tokens: Uint32Array
  readonly maxTokens: number
  /** 0 means arg max. */
  readonly temperature: number
  /** 64-bit key of the noise field. */
  readonly seed: bigint
  /** Tokens after one of which the response ends; it is part of the response. */
  readonly endTokens: readonly Token[]
  readonly signal?: AbortSignal
}

/** A prompt and its response. */
export interface SourcedResponse {
  /** `[T]`, prompt and response. */
  readonly tokens: Uint32Array
  /** `[T - 1, hiddenSize] float32`, of every token but the last, as they were when the tokens were chosen. */
  readonly features: Float32Array
}

/**
 * Where responses and features come from: a target on this machine, or a server that returns hidden states. Requests
 * that are in flight together may share passes; what each gets must not depend on that.
 */
export interface FeatureSource {
  readonly identity: TargetIdentity
  /** Longest sequence, in tokens. */
  readonly maxContext: number
  respond(request: ResponseRequest): Promise<SourcedResponse>
  /** `[T - 1, hiddenSize] float32`, the features of every token of a given text but the last. */
  readFeatures(tokens: Uint32Array, signal?: AbortSignal): Promise<Float32Array>
}
