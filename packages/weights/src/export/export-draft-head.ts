import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkOptionKeys, elementCount, InvalidArgumentError, type Token } from '@hass-engine/core'
import { type FileToWrite, writeAtomically } from '../formats/atomic-write.js'
import { safetensorsFile, type WritableTensor } from '../formats/safetensors-writer.js'
import { readJsonObject } from '../formats/shard-index.js'
import type { JsonValue } from '../formats/strict-json.js'
import { tokenMapFile } from '../formats/torch/token-map.js'
import { openModel } from '../model/open-model.js'
import { isDType, type TensorSource } from '../tensor-source.js'
import { cannot, type ExportLayout, exportLayouts, type LaidOutHead, layOut } from './export-layout.js'

export interface ExportDraftHeadOptions {
  /** Folder of a HASS or EAGLE head; for `nextn`, of a DeepSeek-V3 target with its MTP layer, or of that layer alone. */
  readonly head: string
  /** Where it is written; made if it does not exist. Files of the same names are replaced. */
  readonly folder: string
  /** What is to load it. */
  readonly layout: ExportLayout
  /**
   * The draft vocabulary for SGLang, the target's ids by falling frequency. Defaults to the head's own (`d2t`), if it
   * has a reduced one.
   */
  readonly tokenMap?: ArrayLike<Token>
}

export interface ExportedDraftHead {
  /** Names of the files written. */
  readonly files: readonly string[]
  /** The token map among them, if there is one: `--speculative-token-map`. */
  readonly tokenMap?: string
  /** What whoever launches a server should know. */
  readonly notes: readonly string[]
}

/** Configurations have a few kilobytes; those that list every module not to quantize, some hundred. */
const maxConfigLength = 4 * 2 ** 20

/**
 * Writes a draft head as a serving engine loads it: names, class name and flags of `config.json`, an explicit zero bias
 * where SGLang has one, the token map as a `.pt`. Elements stay as they are stored. All files are complete on disk
 * before the first takes its name.
 *
 * @throws WeightsError `HASS_ERR_EXPORT` if the layout cannot hold the head, and the codes of reading and writing
 */
export async function exportDraftHead(options: ExportDraftHeadOptions): Promise<ExportedDraftHead> {
  checkOptionKeys(options, ['head', 'folder', 'layout', 'tokenMap'], 'exportDraftHead')
  const { head, folder, layout, tokenMap } = options
  if (!exportLayouts.includes(layout)) {
    throw new InvalidArgumentError(`layout is ${JSON.stringify(layout)}, expected one of ${exportLayouts.join(', ')}.`)
  }
  const opened = await openModel(head)
  if (opened.tokenizer.kind !== 'folder') throw cannot('it is a GGUF file, expected a folder with config.json', layout)
  const json = await readJsonObject(join(head, 'config.json'), maxConfigLength)
  const laidOut = layOut({ ...opened, json }, layout)
  if (layout === 'vllm') await checkFcBias(opened.tensors.get('fc.bias'))
  const map = layout === 'sglang' ? (tokenMap ?? (await draftVocabularyOf(opened.tensors.get('d2t')))) : undefined
  if (tokenMap && layout !== 'sglang') throw cannot('only SGLang takes a token map', layout)
  await mkdir(folder, { recursive: true })
  const files = [
    safetensorsFile(join(folder, laidOut.file), [...writable(laidOut, layout)]),
    ...indexOf(laidOut, folder),
    ...(map ? [tokenMapFile(join(folder, 'token_map.pt'), map)] : []),
    jsonFile(join(folder, 'config.json'), { ...plain(json), ...laidOut.config }),
  ]
  await writeAtomically(files)
  return {
    files: files.map(({ path }) => path.slice(folder.length).replace(/^[\\/]+/, '')),
    ...(map && { tokenMap: 'token_map.pt' }),
    notes: laidOut.notes,
  }
}

function* writable(head: LaidOutHead, layout: ExportLayout): Generator<WritableTensor> {
  for (const [name, tensor] of head.tensors) {
    const { dtype, shape } = tensor
    if (!isDType(dtype)) throw cannot(`tensor ${name} is stored as ${dtype}, expected plain elements`, layout)
    yield { name, dtype, shape, data: () => tensor.read() }
    // FP8 weights travel with the scales of their blocks, under the name that they came with.
    if (tensor.quantization?.format !== 'fp8-blocks') continue
    const { scales } = tensor.quantization
    if (!isDType(scales.dtype)) throw cannot(`the scales of ${name} are ${scales.dtype}`, layout)
    yield { name: `${name}_scale_inv`, dtype: scales.dtype, shape: scales.shape, data: () => scales.read() }
  }
  const weight = head.tensors.get('fc.weight')
  if (!head.addsZeroBias || !weight || !isDType(weight.dtype)) return
  const rows = weight.shape[0]!
  // Zero is all bits zero in every floating type.
  const bytes = (weight.byteLength / elementCount(weight.shape)) * rows
  yield { name: 'fc.bias', dtype: weight.dtype, shape: [rows], data: () => new Uint8Array(bytes) }
}

/** Transformers and the servers find an unusual file name by the index alone. */
function indexOf({ file, tensors }: LaidOutHead, folder: string): FileToWrite[] {
  if (file === 'model.safetensors') return []
  const names = [...tensors].flatMap(([name, tensor]) => (tensor.quantization ? [name, `${name}_scale_inv`] : [name]))
  const weight_map = Object.fromEntries(names.sort().map((name) => [name, file]))
  return [jsonFile(join(folder, 'model.safetensors.index.json'), { metadata: {}, weight_map })]
}

/** @throws WeightsError `HASS_ERR_EXPORT`: vLLM's class has no bias there, and would leave it out */
async function checkFcBias(bias: TensorSource | undefined): Promise<void> {
  if (!bias || (await bias.readFloat32()).every((value) => value === 0)) return
  throw cannot('its fc has a bias that is not zero, and vLLM’s EAGLE class has none', 'vllm')
}

/** `d2t` holds offsets: draft id i is the target's id i + d2t[i]. */
async function draftVocabularyOf(offsets: TensorSource | undefined): Promise<Uint32Array | undefined> {
  if (!offsets) return undefined
  const bytes = await offsets.read()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const offsetAt = (id: number) =>
    offsets.dtype === 'I64' ? Number(view.getBigInt64(8 * id, true)) : view.getInt32(4 * id, true)
  return Uint32Array.from({ length: offsets.shape[0]! }, (_, id) => id + offsetAt(id))
}

function jsonFile(path: string, value: unknown): FileToWrite {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
  return { path, write: (append) => append(bytes) }
}

function plain(value: ReadonlyMap<string, JsonValue>): Record<string, unknown> {
  return Object.fromEntries([...value].map(([key, field]) => [key, plainValue(field)]))
}

function plainValue(value: JsonValue): unknown {
  if (value instanceof Map) return plain(value)
  return Array.isArray(value) ? value.map(plainValue) : value
}
