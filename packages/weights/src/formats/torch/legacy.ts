import { shown, WeightsError } from '../../errors.js'
import { type ByteSource, readBytes } from '../../source/byte-source.js'
import { StorageBytes } from './storage-bytes.js'
import type { TorchContents } from './torch-contents.js'
import { storageByteLength, type TorchStorage, unpickleTorch } from './torch-objects.js'
import type { PickleValue } from './unpickle.js'

const magicNumber = 0x1950a86a20f9469cfc6cn
const protocolVersion = 1001
/** As in the zip layout: more is no list of tensors. The pickles are a file's beginning, tensors follow. */
const maxPickleLength = 64 * 2 ** 20
const firstRead = 2 ** 20

/**
 * The layout before PyTorch 1.6: five pickles one behind the other (magic number, protocol, system, value, storage
 * keys), then for each key the number of elements and the elements.
 */
export async function readLegacyTorch(source: ByteSource): Promise<TorchContents> {
  const { value, storages, keys, end } = await readPickles(source)
  const located = new Map<string, StorageBytes>()
  let at = end
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined
    if (!storage || located.has(storage.key)) {
      fail(source, `lists the storage ${shown(String(key))}, which no tensor uses, or twice`)
    }
    const location = await locate(storage, at, source)
    located.set(storage.key, new StorageBytes(source, location))
    at = location.offset + location.byteLength
  }
  if (located.size !== storages.size) fail(source, 'lists fewer storages than its tensors use')
  if (at !== source.size) fail(source, `has ${source.size - at} bytes behind its last storage`)
  return { value, storages: located }
}

/** The pickles' length is written nowhere: a longer beginning is read until they end inside it. */
async function readPickles(source: ByteSource) {
  const longest = Math.min(maxPickleLength, source.size)
  for (let length = Math.min(firstRead, longest); ; length = Math.min(4 * length, longest)) {
    const bytes = await readBytes(source, 0, length)
    try {
      return parsePickles(bytes, source)
    } catch (error) {
      const isCut = error instanceof WeightsError && error.code === 'HASS_ERR_TRUNCATED'
      if (!isCut || length === longest) throw error
    }
  }
}

function parsePickles(bytes: Uint8Array, source: ByteSource) {
  const magic = unpickleTorch(bytes, 0, source.name)
  if (magic.value !== magicNumber) fail(source, 'has a wrong magic number')
  const protocol = unpickleTorch(bytes, magic.end, source.name)
  if (protocol.value !== protocolVersion) fail(source, `is not of version ${protocolVersion}`)
  const system = unpickleTorch(bytes, protocol.end, source.name)
  if (!isLittleEndian(system.value)) fail(source, 'was not written on a little-endian machine')
  const saved = unpickleTorch(bytes, system.end, source.name)
  const keys = unpickleTorch(bytes, saved.end, source.name)
  if (!Array.isArray(keys.value)) return fail(source, 'has no list of storages')
  return { value: saved.value, storages: saved.storages, keys: keys.value, end: keys.end }
}

function isLittleEndian(system: PickleValue): boolean {
  return system instanceof Map && system.get('little_endian') === true
}

async function locate(storage: TorchStorage, at: number, source: ByteSource) {
  const header = await readBytes(source, at, 8)
  const elements = new DataView(header.buffer).getBigInt64(0, true)
  if (elements !== BigInt(storage.elements)) {
    throw new WeightsError(
      'HASS_ERR_TORCH_STORAGE',
      `Storage ${shown(storage.key)} of ${source.name} has ${elements} elements, expected ${storage.elements}.`,
      { file: source.name, key: storage.key, found: elements, expected: storage.elements },
    )
  }
  const byteLength = storageByteLength(storage)
  const offset = at + 8
  if (offset + byteLength > source.size) {
    throw new WeightsError(
      'HASS_ERR_TRUNCATED',
      `${source.name} ends inside storage ${shown(storage.key)}: ${byteLength} bytes expected, ${source.size - offset} left.`,
      { file: source.name, key: storage.key, expected: byteLength, found: source.size - offset },
    )
  }
  return { name: storage.key, offset, byteLength }
}

function fail(source: ByteSource, what: string): never {
  throw new WeightsError('HASS_ERR_TORCH_FILE', `${source.name} ${what}.`, { file: source.name })
}
