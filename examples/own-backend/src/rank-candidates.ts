import { coupledCandidates, topCandidates } from '@hass-engine/draft-tree'
import { createNoiseField } from '@hass-engine/sampler'
import type { RankCandidates } from './own-draft.js'

/** Plain candidates by probability; coupled ones, where the sequence says how it chooses, with its noise. */
export const rankCandidates: RankCandidates = ({ logits, context, position }) => {
  const row = { logits, rows: 1, vocabSize: logits.length, width: context.width }
  const { coupling } = context
  if (!coupling) return topCandidates(row)
  const { gumbel } = createNoiseField(coupling.seed)
  return coupledCandidates({ ...row, rule: coupling, positions: [position], noise: gumbel })
}
