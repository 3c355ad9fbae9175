import type { ConfigFields } from './config-fields.js'
import type { RopeScaling } from './model-config.js'

const types = ['default', 'linear', 'llama3', 'yarn'] as const
const positive = { above: 0 }

/**
 * Reads `rope_scaling` or `rope_parameters`.
 *
 * @param fields that object
 * @param config the configuration around it, whose context length counts where the object names no original one
 */
export function readRopeScaling(fields: ConfigFields, config: ConfigFields): RopeScaling {
  const key = fields.has('rope_type') ? 'rope_type' : 'type'
  const type = fields.text(key, 'default', types)
  const factor = () => fields.number('factor', undefined, positive)
  const originalMaxContext = () =>
    fields.count('original_max_position_embeddings', config.count('max_position_embeddings'))
  switch (type) {
    case 'default':
      return { type }
    case 'linear':
      return { type, factor: factor() }
    case 'llama3': {
      const lowFrequencyFactor = fields.number('low_freq_factor', undefined, positive)
      // Equal factors would divide by zero where frequencies are mixed.
      const highFrequencyFactor = fields.number('high_freq_factor', undefined, { above: lowFrequencyFactor })
      return {
        type,
        factor: factor(),
        lowFrequencyFactor,
        highFrequencyFactor,
        originalMaxContext: originalMaxContext(),
      }
    }
    case 'yarn':
      return {
        type,
        factor: factor(),
        originalMaxContext: originalMaxContext(),
        betaFast: fields.number('beta_fast', 32, positive),
        betaSlow: fields.number('beta_slow', 1, positive),
        ...(fields.has('mscale') && { mscale: fields.number('mscale', undefined, { min: 0 }) }),
        ...(fields.has('mscale_all_dim') && {
          mscaleAllDimensions: fields.number('mscale_all_dim', undefined, { min: 0 }),
        }),
        ...(fields.has('attention_factor') && {
          attentionFactor: fields.number('attention_factor', undefined, positive),
        }),
      }
  }
}
