import { shown, WeightsError } from '../../errors.js'
import type { ByteSource } from '../../source/byte-source.js'
import { StorageBytes } from './storage-bytes.js'
import type { TorchContents } from './torch-contents.js'
import { storageByteLength, type TorchStorage, unpickleTorch } from './torch-objects.js'
import { listZipMembers, type ZipMember } from './zip.js'

/** About a hundred bytes describe a tensor: a pickle of a hundred thousand tensors takes ten megabytes. */
const maxPickleLength = 64 * 2 ** 20

/** The zip layout: `NAME/data.pkl`, and each storage as a member `NAME/data/KEY`. */
export async function readZippedTorch(source: ByteSource): Promise<TorchContents> {
  const members = await listZipMembers(source)
  const pickle = findPickle(members, source)
  const folder = pickle.name.slice(0, -'data.pkl'.length)
  await checkByteOrder(members.get(`${folder}byteorder`), source)
  const bytes = await readMember(pickle, source, maxPickleLength)
  const { value, end, storages } = unpickleTorch(bytes, 0, source.name)
  if (end !== bytes.byteLength) {
    throw new WeightsError('HASS_ERR_PICKLE', `The pickle of ${source.name} goes on behind its end at byte ${end}.`, {
      file: source.name,
      end,
    })
  }
  const located = new Map<string, StorageBytes>()
  for (const storage of storages.values()) {
    located.set(storage.key, locate(storage, members.get(`${folder}data/${storage.key}`), source))
  }
  return { value, storages: located }
}

function findPickle(members: ReadonlyMap<string, ZipMember>, source: ByteSource): ZipMember {
  const [pickle, ...others] = [...members.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickle && others.length === 0) return pickle
  throw new WeightsError(
    'HASS_ERR_TORCH_FILE',
    `${source.name} has ${pickle ? 'more than one' : 'no'} member NAME/data.pkl: torch.save did not write it.`,
    { file: source.name },
  )
}

async function checkByteOrder(member: ZipMember | undefined, source: ByteSource): Promise<void> {
  // Files of versions before 2.1 do not say it; they are little-endian.
  if (!member) return
  const order = new TextDecoder().decode(await readMember(member, source, 16))
  if (order === 'little') return
  throw new WeightsError(
    'HASS_ERR_TORCH_FILE',
    `${source.name} has the byte order ${shown(order)}, expected "little".`,
    {
      file: source.name,
      found: order,
    },
  )
}

async function readMember(member: ZipMember, source: ByteSource, maxLength: number): Promise<Uint8Array> {
  if (member.byteLength > maxLength) {
    throw new WeightsError(
      'HASS_ERR_TORCH_FILE',
      `Member ${shown(member.name)} of ${source.name} has ${member.byteLength} bytes, expected at most ${maxLength}.`,
      { file: source.name, name: member.name, found: member.byteLength, max: maxLength },
    )
  }
  const bytes = new Uint8Array(member.byteLength)
  await new StorageBytes(source, member).readInto(bytes, 0)
  return bytes
}

function locate(storage: TorchStorage, member: ZipMember | undefined, source: ByteSource): StorageBytes {
  const expected = storageByteLength(storage)
  if (member?.byteLength === expected) return new StorageBytes(source, member)
  throw new WeightsError(
    'HASS_ERR_TORCH_STORAGE',
    `Storage ${shown(storage.key)} of ${source.name} ${member ? `has ${member.byteLength} bytes` : 'is missing'}, expected ${expected} bytes.`,
    { file: source.name, key: storage.key, found: member?.byteLength, expected },
  )
}
