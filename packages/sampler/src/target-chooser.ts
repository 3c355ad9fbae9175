import { checkOptionKeys, type LogitsRows, type TargetChoices, type Token, type TokenLogProbs } from '@hass-engine/core'
import type { LogProbQuery, Sampler } from './sampler.js'

export interface TargetChooserOptions {
  readonly sampler: Sampler
  /** The target's logits of one pass over a tree; node i of the tree is row `firstRow + i`. */
  readonly logits: LogitsRows
  /** Defaults to 0. */
  readonly firstRow?: number
  /** The committed tokens before the root, prompt included: the root stands at position `history.length`. */
  readonly history: ArrayLike<Token>
}

export interface TargetChooser extends TargetChoices {
  /** Log-probabilities of a token after a node, before and after the processors. */
  logProbs(node: number, path: readonly Token[], query: LogProbQuery): Promise<TokenLogProbs>
}

/**
 * The target's choices in one tree, for a verifier.
 *
 * Where temperature and seed say it all the logits' own `argMax` or `gumbelArgMax` is asked, and the row never leaves
 * its device; both ways give the same token, ties included, as long as the device keeps to the contract: float64
 * division, noise and sum, and the lowest id of equals.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` for an unknown option
 */
export function createTargetChooser(options: TargetChooserOptions): TargetChooser {
  checkOptionKeys(options, ['sampler', 'logits', 'firstRow', 'history'], 'createTargetChooser')
  const { sampler, logits, firstRow = 0, history } = options
  const { temperature, seed } = sampler.rule
  return {
    async choose(node, path) {
      const row = firstRow + node
      if (!sampler.isPlain) return sampler.choose(await logits.read(row), history, path)
      if (temperature === 0) return logits.argMax(row)
      return logits.gumbelArgMax(row, { temperature, seed, position: history.length + path.length })
    },
    async probs(node, path) {
      return sampler.probs(await logits.read(firstRow + node), history, path)
    },
    async logProbs(node, path, query) {
      return sampler.logProbs(await logits.read(firstRow + node), history, path, query)
    },
  }
}
