/**
 * Sequences of one accumulation, padded to the same length. B sequences, T positions, E hidden size; the row of
 * position t of sequence b is b · T + t. Padding stands behind a sequence and has features of zero and a mask of zero.
 */
export interface TrainingBatch {
  readonly sequences: number
  /** T */
  readonly positions: number
  /** `[B, T]`, the token at position t + 1: what the head reads beside the feature of position t. */
  readonly tokens: Uint32Array
  /** `[B, T, E] float32`, the target's features. Row t + 1 is what the head is to predict at row t. */
  readonly features: Float32Array
  /** `[B, T, E] float32`, what the first alignment step reads: `features` with noise. Defaults to `features`. */
  readonly inputFeatures?: Float32Array
  /** `[B, T]`, 1 where losses count. Always 0 at a sequence's last position, which has no next feature. */
  readonly lossMask: Uint8Array
  /**
   * `[B, T]`, 1 where the token losses count beside the feature loss: where the target's token at position t + 2,
   * which the predicted feature is to give, belongs to the draft vocabulary. Read where `lossMask` is 1. Defaults to
   * `lossMask`.
   */
  readonly tokenLossMask?: Uint8Array
}

/** Losses of one alignment step, means over the masked positions (HASS, section 3.1). */
export interface StepLosses {
  readonly feature: number
  readonly token: number
  readonly topK: number
  /** Weighted sum of the three. */
  readonly total: number
  /** Share of masked positions at which head and target have the same most probable token. */
  readonly accuracy: number
}

/** What one optimizer step did. */
export interface UpdateFacts {
  /** Of the accumulated gradient, before clipping. */
  readonly gradientNorm: number
  /** Share of elements that were clipped. */
  readonly clippedShare: number
}

/** Everything that a resumed run needs of the optimizer, by tensor name. */
export interface TrainerState {
  /** Optimizer steps made. */
  readonly step: number
  readonly parameters: ReadonlyMap<string, Float32Array>
  /** First and second moments of AdamW. */
  readonly firstMoments: ReadonlyMap<string, Float32Array>
  readonly secondMoments: ReadonlyMap<string, Float32Array>
}

/** A draft head in training on a device: the HASS loss, its gradient, and AdamW. */
export interface HeadTrainer extends AsyncDisposable {
  /**
   * Adds one batch's gradients, of all alignment steps, to those accumulated since the last update. Only what the
   * masked positions depend on is computed.
   *
   * @returns the losses of each alignment step, the first one first
   * @throws NonFiniteError `HASS_ERR_NON_FINITE` for a loss that is NaN or infinite, naming step and loss; the
   *   accumulated gradients are spoiled then, until `writeState`
   * @throws InvalidArgumentError for a batch of wrong sizes, or without a masked position
   */
  accumulate(batch: TrainingBatch): Promise<StepLosses[]>
  /**
   * Clips what was accumulated, makes one AdamW step, and forgets the gradients.
   *
   * @throws NonFiniteError `HASS_ERR_NON_FINITE` if the gradient of a parameter is, naming it; nothing is changed then
   */
  update(options: { readonly learningRate: number }): Promise<UpdateFacts>
  /** A copy. */
  readState(): Promise<TrainerState>
  /** What has been accumulated since the last update, before clipping, by parameter; a copy. */
  readGradients(): Promise<ReadonlyMap<string, Float32Array>>
  /** Takes over a state, and forgets what has been accumulated. */
  writeState(state: TrainerState): Promise<void>
}
