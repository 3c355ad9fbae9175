import { dtypeSize } from '@hass-engine/core'
import { shown, WeightsError } from '../../errors.js'
import { type ByteSource, readBytes } from '../../source/byte-source.js'
import { createTensorSource, type TensorSource } from '../../tensor-source.js'
import { byteExtent } from '../byte-extent.js'
import { collectTensors } from './collect-tensors.js'
import { readLegacyTorch } from './legacy.js'
import type { StorageBytes } from './storage-bytes.js'
import { gatherStrided, isContiguous, stridedExtent } from './strided.js'
import type { TorchContents } from './torch-contents.js'
import type { TorchTensor } from './torch-objects.js'
import { readZippedTorch } from './zipped.js'

export interface TorchFile {
  readonly format: 'torch'
  /** By their path through the saved dictionaries, joined by dots. */
  readonly tensors: ReadonlyMap<string, TensorSource>
}

/** A view that repeats its elements may be larger than the file, but not without end. */
const maxExpandedBytes = 2 ** 20

/**
 * Reads a file that `torch.save` wrote: the zip layout, or the legacy one of PyTorch before 1.6.
 *
 * The pickle in it runs on a machine that can build tensors in dictionaries and nothing else. Tensors are read when
 * asked, views gathered into row-major order, checksums verified.
 *
 * @throws WeightsError `HASS_ERR_PICKLE_GLOBAL`, `HASS_ERR_PICKLE_OPCODE`, `HASS_ERR_PICKLE`,
 * `HASS_ERR_TORCH_FILE`, `HASS_ERR_TORCH_STORAGE`, `HASS_ERR_CHECKSUM`, `HASS_ERR_SHAPE_OVERFLOW`,
 * `HASS_ERR_DUPLICATE_NAME`, `HASS_ERR_TRUNCATED`, `HASS_ERR_FORMAT_UNKNOWN`
 */
export async function openTorch(source: ByteSource): Promise<TorchFile> {
  const { value, storages } = await readContents(source)
  const tensors = new Map<string, TensorSource>()
  for (const [name, tensor] of collectTensors(value, source.name)) {
    tensors.set(name, createStridedTensor(name, tensor, storages.get(tensor.storage.key)!, source))
  }
  return { format: 'torch', tensors }
}

async function readContents(source: ByteSource): Promise<TorchContents> {
  const start = await readBytes(source, 0, 4)
  const magic = new DataView(start.buffer).getUint32(0, true)
  if (magic === 0x04034b50) return readZippedTorch(source)
  if ((magic & 0xffff) === 0x0280) return readLegacyTorch(source)
  throw new WeightsError(
    'HASS_ERR_FORMAT_UNKNOWN',
    `${source.name} begins with 0x${magic.toString(16)}: it is neither of the two layouts of torch.save.`,
    { file: source.name, magic },
  )
}

function createStridedTensor(
  name: string,
  tensor: TorchTensor,
  storage: StorageBytes,
  source: ByteSource,
): TensorSource {
  const { dtype, offset, shape, strides } = tensor
  const where = { file: source.name, name }
  const { byteLength } = byteExtent(shape, dtype, where)
  const size = dtypeSize(dtype)
  const extent = stridedExtent(tensor)
  const { location } = storage
  if ((offset + extent) * size > location.byteLength) {
    throw new WeightsError(
      'HASS_ERR_TORCH_STORAGE',
      `Tensor ${shown(name)} in ${source.name} reaches ${extent} elements from offset ${offset}, its storage has ${location.byteLength / size}.`,
      { ...where, offset, shape, strides, storageBytes: location.byteLength },
    )
  }
  if (byteLength > Math.max(source.size, maxExpandedBytes)) {
    throw new WeightsError(
      'HASS_ERR_SHAPE_OVERFLOW',
      `Tensor ${shown(name)} in ${source.name} repeats its elements to ${byteLength} bytes, more than the whole file: save a copy (tensor.contiguous()) instead.`,
      { ...where, shape, strides, byteLength },
    )
  }
  const isVerbatim = isContiguous(tensor)
  const start = offset * size
  const description = {
    name,
    dtype,
    shape,
    file: source.location,
    offset: location.offset + start,
    byteLength,
    isVerbatim,
  }
  return createTensorSource(description, async (target) => {
    if (isVerbatim) return storage.readInto(target, start)
    const bytes = new Uint8Array(extent * size)
    await storage.readInto(bytes, start)
    gatherStrided(bytes, target, tensor, size)
  })
}
