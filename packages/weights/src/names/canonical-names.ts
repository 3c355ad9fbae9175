/*
 * Canonical names are those of Hugging Face without the leading `model.`, so that a decoder layer has the same names
 * below its prefix in a target (`layers.7.`), a draft head (`layers.0.`) and an MTP layer (`mtp.0.`).
 *
 * | canonical                                   | Hugging Face, LLaMA and Qwen        | GGUF                  |
 * | ------------------------------------------- | ----------------------------------- | --------------------- |
 * | embed_tokens.weight                         | model.embed_tokens.weight           | token_embd.weight     |
 * | norm.weight                                 | model.norm.weight                   | output_norm.weight    |
 * | lm_head.weight                              | lm_head.weight                      | output.weight         |
 * | rope_factors.weight                         | -                                   | rope_freqs.weight     |
 * | layers.N.input_layernorm.weight             | model.layers.N.…                    | blk.N.attn_norm       |
 * | layers.N.self_attn.{q,k,v,o}_proj           | model.layers.N.…                    | blk.N.attn_{q,k,v,output} |
 * | layers.N.self_attn.{q,k}_norm               | model.layers.N.…                    | blk.N.attn_{q,k}_norm |
 * | layers.N.post_attention_layernorm.weight    | model.layers.N.…                    | blk.N.ffn_norm        |
 * | layers.N.mlp.{gate,up,down}_proj            | model.layers.N.…                    | blk.N.ffn_{gate,up,down} |
 *
 * DeepSeek-V3 keeps its names below `layers.N.`; its MTP layers, `model.layers.{layers + i}.…` in the file, are
 * `mtp.{i}.…` here, in a NextN file (`model.layers.0.…`) too. Draft heads: `fc.weight`, `fc.bias`,
 * `embed_tokens.weight`, `lm_head.weight`, `d2t`, `t2d` and `layers.N.…`, as published.
 */

const ggufNames: ReadonlyMap<string, string> = new Map([
  ['token_embd', 'embed_tokens'],
  ['output_norm', 'norm'],
  ['output', 'lm_head'],
  ['rope_freqs', 'rope_factors'],
])

const ggufLayerNames: ReadonlyMap<string, string> = new Map([
  ['attn_norm', 'input_layernorm'],
  ['attn_q', 'self_attn.q_proj'],
  ['attn_k', 'self_attn.k_proj'],
  ['attn_v', 'self_attn.v_proj'],
  ['attn_output', 'self_attn.o_proj'],
  ['attn_q_norm', 'self_attn.q_norm'],
  ['attn_k_norm', 'self_attn.k_norm'],
  ['ffn_norm', 'post_attention_layernorm'],
  ['ffn_gate', 'mlp.gate_proj'],
  ['ffn_up', 'mlp.up_proj'],
  ['ffn_down', 'mlp.down_proj'],
])

/** The canonical name of a tensor of a GGUF file; the name itself if it is not in the table. */
export function canonicalGgufName(name: string): string {
  const [, layer, part, kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? []
  const canonical = layer === undefined ? ggufNames.get(part ?? '') : ggufLayerNames.get(part!)
  if (canonical === undefined) return name
  return layer === undefined ? `${canonical}.${kind}` : `layers.${layer}.${canonical}.${kind}`
}

/**
 * The canonical name of a tensor of a Hugging Face checkpoint.
 *
 * @param layers decoder layers of the model: those behind them are MTP layers
 */
export function canonicalHuggingFaceName(name: string, layers: number): string {
  const bare = name.startsWith('model.') ? name.slice('model.'.length) : name
  const [, layer, rest] = /^layers\.(\d+)\.(.+)$/.exec(bare) ?? []
  const isMtp = layer !== undefined && Number(layer) >= layers
  return isMtp ? `mtp.${Number(layer) - layers}.${rest}` : bare
}

/** Tensors that old checkpoints carry although they follow from the configuration. */
export function isDerivedTensor(canonicalName: string): boolean {
  return canonicalName.endsWith('.rotary_emb.inv_freq')
}
