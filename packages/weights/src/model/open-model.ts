import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readGgufConfig } from '../config/gguf-config.js'
import { readHuggingFaceConfig } from '../config/hugging-face-config.js'
import type { ModelConfig } from '../config/model-config.js'
import { shown, WeightsError } from '../errors.js'
import { openGguf } from '../formats/gguf/gguf.js'
import type { GgufValue } from '../formats/gguf/metadata.js'
import { openTensors } from '../formats/open-tensors.js'
import { openShards, readJsonObject } from '../formats/shard-index.js'
import { canonicalGgufName, canonicalHuggingFaceName, isDerivedTensor } from '../names/canonical-names.js'
import { undoRotaryPairing } from '../names/row-permutation.js'
import { openFileSource } from '../source/file-source.js'
import { describeTensor, type TensorSource } from '../tensor-source.js'
import { checkTensors } from './check-tensors.js'
import { attachFp8Scales } from './fp8-scales.js'

/** Where the tokenizer of a model is described. */
export type TokenizerFiles =
  | {
      readonly kind: 'folder'
      readonly folder: string
      /** Full paths of the tokenizer's files that exist, by name. */
      readonly files: ReadonlyMap<string, string>
    }
  | { readonly kind: 'gguf'; readonly metadata: ReadonlyMap<string, GgufValue> }

/** A model as its files describe it. Nothing has to be disposed: files are open only while they are read. */
export interface OpenedModel {
  /** The folder or file that was opened. */
  readonly path: string
  readonly config: ModelConfig
  /** By canonical name; every tensor of the configuration, with its shape, and no others. */
  readonly tensors: ReadonlyMap<string, TensorSource>
  readonly tokenizer: TokenizerFiles
}

const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
]

/** Configurations have a few kilobytes; those that list every module not to quantize, some hundred. */
const maxConfigLength = 4 * 2 ** 20

/** In this order: where a folder has several, they hold the same weights. */
const weightFiles = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
]

/**
 * Opens a model: a folder with `config.json` and weights (safetensors or PyTorch, single or sharded), or a GGUF file.
 *
 * Headers are read, nothing else; each tensor is there with its canonical name, and reads itself when asked.
 *
 * @throws WeightsError `HASS_ERR_MODEL_FILES`, `HASS_ERR_MODEL_CONFIG`, `HASS_ERR_MODEL_ARCHITECTURE`,
 * `HASS_ERR_MODEL_TENSORS`, `HASS_ERR_QUANTIZATION`, and the codes of the formats
 */
export async function openModel(path: string): Promise<OpenedModel> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
  if (isFolder) return openFolder(path)
  if (path.toLowerCase().endsWith('.gguf')) return openGgufModel(path)
  throw new WeightsError(
    'HASS_ERR_MODEL_FILES',
    `${basename(path)} is neither a folder nor a GGUF file: expected a folder with config.json and weights.`,
    { path },
  )
}

async function openGgufModel(path: string): Promise<OpenedModel> {
  const file = await openGguf(await openFileSource(path))
  const config = readGgufConfig(file, basename(path))
  const named = rename(file.tensors, canonicalGgufName, basename(path))
  checkTensors(named, config, basename(path))
  const tensors = config.architecture === 'llama' ? undoPairing(named, config) : named
  return { path, config, tensors, tokenizer: { kind: 'gguf', metadata: file.metadata } }
}

/** Only LLaMA files pair the rows: those of other architectures rotate halves, as Hugging Face does. */
function undoPairing(tensors: ReadonlyMap<string, TensorSource>, config: ModelConfig): Map<string, TensorSource> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const isPaired = /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(name)
      return [name, isPaired ? undoRotaryPairing(tensor, config.headSize) : tensor]
    }),
  )
}

async function openFolder(folder: string): Promise<OpenedModel> {
  const names = new Set(await readdir(folder))
  const weights = weightFiles.find((name) => names.has(name))
  if (!names.has('config.json') || weights === undefined) {
    throw new WeightsError(
      'HASS_ERR_MODEL_FILES',
      `${basename(folder)} has no ${weights ? 'config.json' : weightFiles.join(' or ')}: it is no folder of a model.`,
      { path: folder, expected: weights ? ['config.json'] : weightFiles },
    )
  }
  const json = await readJsonObject(join(folder, 'config.json'), maxConfigLength)
  const raw = await openWeights(join(folder, weights))
  const described = readHuggingFaceConfig(json, { file: 'config.json', isHead: raw.has('fc.weight') })
  // An MTP layer of its own is layer 0 of its file.
  const renamed = rename(raw, (name) => canonicalHuggingFaceName(name, described.layers), weights)
  const tensors = attachFp8Scales(renamed, described.fp8BlockShape)
  const config = asFilesHaveIt(described, tensors)
  // Some checkpoints repeat the embedding; where the configuration ties the two, the embedding is what counts.
  if (config.tiesEmbeddings) tensors.delete('lm_head.weight')
  checkTensors(tensors, config, weights)
  const generation = names.has('generation_config.json')
    ? await readJsonObject(join(folder, 'generation_config.json'), maxConfigLength)
    : undefined
  const files = new Map(tokenizerFiles.filter((name) => names.has(name)).map((name) => [name, join(folder, name)]))
  return {
    path: folder,
    config: generation ? withGenerationEnds(config, generation.get('eos_token_id')) : config,
    tensors,
    tokenizer: { kind: 'folder', folder, files },
  }
}

async function openWeights(path: string): Promise<ReadonlyMap<string, TensorSource>> {
  return path.endsWith('.index.json') ? openShards(path) : (await openTensors(path)).tensors
}

function rename(
  tensors: ReadonlyMap<string, TensorSource>,
  canonicalName: (name: string) => string,
  file: string,
): Map<string, TensorSource> {
  const renamed = new Map<string, TensorSource>()
  for (const [name, tensor] of tensors) {
    const canonical = canonicalName(name)
    if (isDerivedTensor(canonical)) continue
    if (renamed.has(canonical)) {
      throw new WeightsError('HASS_ERR_DUPLICATE_NAME', `${file} has two tensors ${shown(canonical)}.`, {
        file,
        name: canonical,
      })
    }
    renamed.set(canonical, canonical === name ? tensor : describeTensor(tensor, { name: canonical }))
  }
  return renamed
}

/** What configurations and files are known to disagree about, the files decide. */
function asFilesHaveIt(config: ModelConfig, tensors: ReadonlyMap<string, TensorSource>): ModelConfig {
  if (config.architecture === 'deepseek-v3') {
    const hasMtp = tensors.has('mtp.0.eh_proj.weight')
    return { ...config, mtpLayers: hasMtp ? config.mtpLayers : 0 }
  }
  if (config.architecture !== 'hass-head') return config
  const { draftVocabSize, ...others } = config
  const draftVocab = tensors.get('d2t')?.shape[0]
  return {
    ...others,
    tiesEmbeddings: false,
    hasQueryKeyValueBias: tensors.has('layers.0.self_attn.q_proj.bias'),
    hasOutputBias: tensors.has('layers.0.self_attn.o_proj.bias'),
    hasMlpBias: tensors.has('layers.0.mlp.gate_proj.bias'),
    ...(draftVocab !== undefined && { draftVocabSize: draftVocab }),
  }
}

/** Instruction models end turns with a token that only `generation_config.json` names. */
function withGenerationEnds(config: ModelConfig, ids: unknown): ModelConfig {
  const more = (Array.isArray(ids) ? ids : [ids]).filter((id) => Number.isSafeInteger(id) && id >= 0) as number[]
  return { ...config, eosTokenIds: [...new Set([...config.eosTokenIds, ...more])] }
}
