import { basename } from 'node:path'
import { WeightsError } from '../errors.js'
import type { ByteSource } from '../source/byte-source.js'
import { openFileSource } from '../source/file-source.js'
import { type GgufFile, openGguf } from './gguf/gguf.js'
import { openSafetensors, type SafetensorsFile } from './safetensors.js'
import { openTorch, type TorchFile } from './torch/torch-file.js'

/** A weight file of any known format: its tensors under the names in the file. */
export type TensorFile = SafetensorsFile | GgufFile | TorchFile

const readers: ReadonlyMap<string, (source: ByteSource) => Promise<TensorFile>> = new Map<
  string,
  (source: ByteSource) => Promise<TensorFile>
>([
  ['safetensors', openSafetensors],
  ['gguf', openGguf],
  ['bin', openTorch],
  ['pt', openTorch],
  ['pth', openTorch],
])

/**
 * Opens one weight file; its extension says the format, and nothing else is tried if it is not what it says.
 *
 * @throws WeightsError the codes of the format's reader, `HASS_ERR_FORMAT_UNKNOWN`, `HASS_ERR_FILE_READ`
 */
export async function openTensors(path: string): Promise<TensorFile> {
  const extension = basename(path).split('.').at(-1)!.toLowerCase()
  const reader = readers.get(extension)
  if (!reader) {
    throw new WeightsError(
      'HASS_ERR_FORMAT_UNKNOWN',
      `${basename(path)} has no extension of a weight file, expected one of ${[...readers.keys()].map((name) => `.${name}`).join(', ')}.`,
      { file: basename(path), extension },
    )
  }
  return reader(await openFileSource(path))
}
