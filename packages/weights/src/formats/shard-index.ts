import { basename, dirname, join } from 'node:path'
import { shown, WeightsError } from '../errors.js'
import { readBytes } from '../source/byte-source.js'
import { openFileSource } from '../source/file-source.js'
import type { TensorSource } from '../tensor-source.js'
import { openTensors, type TensorFile } from './open-tensors.js'
import { maxSafetensorsHeaderLength } from './safetensors.js'
import { type JsonObject, parseStrictJson } from './strict-json.js'

/** Reads a JSON object from a file. @throws WeightsError `HASS_ERR_JSON`, `HASS_ERR_FILE_READ` */
export async function readJsonObject(path: string, maxLength: number): Promise<JsonObject> {
  const source = await openFileSource(path)
  if (source.size > maxLength) {
    throw new WeightsError('HASS_ERR_JSON', `${source.name} has ${source.size} bytes, expected at most ${maxLength}.`, {
      file: source.name,
      size: source.size,
      max: maxLength,
    })
  }
  const json = parseStrictJson(await readBytes(source, 0, source.size), { name: source.name })
  if (json instanceof Map) return json
  throw new WeightsError('HASS_ERR_JSON', `${source.name} holds ${typeof json}, expected an object.`, {
    file: source.name,
  })
}

/**
 * Opens a model in several files by its index (`model.safetensors.index.json`), which says which tensor is in which.
 *
 * @throws WeightsError `HASS_ERR_SHARD_INDEX` if index and shards disagree, `HASS_ERR_UNSAFE_PATH` if the index
 * names a file outside its folder, and the codes of the shards' format
 */
export async function openShards(indexPath: string): Promise<ReadonlyMap<string, TensorSource>> {
  const file = basename(indexPath)
  // An index describes as many tensors as headers do.
  const weightMap = (await readJsonObject(indexPath, maxSafetensorsHeaderLength)).get('weight_map')
  if (!(weightMap instanceof Map)) {
    throw new WeightsError('HASS_ERR_SHARD_INDEX', `${file} has no weight_map.`, { file })
  }
  const shards = new Map<string, TensorFile>()
  for (const shard of new Set(weightMap.values())) {
    shards.set(checkShardName(shard, file), await openTensors(join(dirname(indexPath), shard as string)))
  }
  const tensors = new Map<string, TensorSource>()
  for (const [name, shard] of weightMap) {
    const tensor = shards.get(shard as string)!.tensors.get(name)
    if (!tensor) {
      throw new WeightsError('HASS_ERR_SHARD_INDEX', `${file} has tensor ${shown(name)} in ${shard}, which lacks it.`, {
        file,
        name,
        shard,
      })
    }
    tensors.set(name, tensor)
  }
  checkNothingLeftOver(shards, tensors, file)
  return tensors
}

function checkShardName(shard: unknown, file: string): string {
  if (typeof shard === 'string' && /^[\w.-]+$/.test(shard) && !shard.startsWith('.')) return shard
  throw new WeightsError(
    'HASS_ERR_UNSAFE_PATH',
    `${file} names the shard ${shown(String(shard))}, expected the name of a file beside it.`,
    { file, shard },
  )
}

function checkNothingLeftOver(
  shards: ReadonlyMap<string, TensorFile>,
  tensors: ReadonlyMap<string, TensorSource>,
  file: string,
): void {
  for (const [shard, { tensors: held }] of shards) {
    for (const [name, tensor] of held) {
      if (tensors.get(name) === tensor) continue
      throw new WeightsError(
        'HASS_ERR_SHARD_INDEX',
        `${shard} holds tensor ${shown(name)}, which ${file} does not place there.`,
        { file, name, shard },
      )
    }
  }
}
