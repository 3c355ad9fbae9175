import { describe, expect, it } from 'vitest'
import { canonicalGgufName, canonicalHuggingFaceName } from './canonical-names.js'

describe('canonical names', () => {
  it.each([
    ['token_embd.weight', 'embed_tokens.weight'],
    ['output.weight', 'lm_head.weight'],
    ['output_norm.weight', 'norm.weight'],
    ['rope_freqs.weight', 'rope_factors.weight'],
    ['blk.12.attn_q.bias', 'layers.12.self_attn.q_proj.bias'],
    ['blk.0.ffn_norm.weight', 'layers.0.post_attention_layernorm.weight'],
    ['blk.0.token_embd.weight', 'blk.0.token_embd.weight'],
    ['attn_q.weight', 'attn_q.weight'],
    ['anything', 'anything'],
  ])('GGUF %s is %s', (name, canonical) => expect(canonicalGgufName(name)).toBe(canonical))

  it.each([
    ['model.layers.2.mlp.up_proj.weight', 'layers.2.mlp.up_proj.weight'],
    ['model.layers.3.eh_proj.weight', 'mtp.0.eh_proj.weight'],
    ['model.layers.4.eh_proj.weight', 'mtp.1.eh_proj.weight'],
    ['layers.0.mlp.up_proj.weight', 'layers.0.mlp.up_proj.weight'],
    ['lm_head.weight', 'lm_head.weight'],
    ['model.norm.weight', 'norm.weight'],
  ])('%s is %s in a model of three layers', (name, canonical) =>
    expect(canonicalHuggingFaceName(name, 3)).toBe(canonical),
  )
})
