// The embedded model as a folder of safetensors, for servers that read no GGUF: its weights dequantized by our own reader,
// its tokenizer converted by transformers.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './bootstrap.mjs'

const source = join(root, 'packages/smollm2-135m-instruct')
const file = 'SmolLM2-135M-Instruct.Q4_1.gguf'

/** Written once, half a gigabyte; the folder takes its name when it is complete. */
export async function saveEmbeddedModel(python) {
  const folder = join(root, '.cache/servers/SmolLM2-135M-Instruct')
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  await saveWeights(unfinished)
  saveTokenizer(python, unfinished)
  renameSync(unfinished, folder)
  return folder
}

async function saveWeights(folder) {
  const { openModel, writeSafetensors } = await import('../packages/weights/dist/index.js')
  const { config, tensors } = await openModel(join(source, file))
  const written = [...tensors.values()].map((tensor) => ({
    name: `model.${tensor.name}`,
    dtype: 'F32',
    shape: tensor.shape,
    data: async () => new Uint8Array((await tensor.readFloat32()).buffer),
  }))
  await writeSafetensors(join(folder, 'model.safetensors'), written)
  const json = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: config.hiddenSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    intermediate_size: config.intermediateSize,
    vocab_size: config.vocabSize,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiesEmbeddings,
    max_position_embeddings: config.maxContext,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds[0],
    hidden_act: 'silu',
    torch_dtype: 'float32',
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(json, null, 2))
}

function saveTokenizer(python, folder) {
  const program =
    'import sys; from transformers import AutoTokenizer; ' +
    'AutoTokenizer.from_pretrained(sys.argv[1], gguf_file=sys.argv[2]).save_pretrained(sys.argv[3])'
  const { status, stderr } = spawnSync(python, ['-c', program, source, file, folder], {
    encoding: 'utf8',
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
  })
  if (status !== 0) throw new Error(`The tokenizer could not be converted: ${stderr.slice(-1000)}`)
}
