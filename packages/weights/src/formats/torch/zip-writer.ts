import { crc32 } from 'node:zlib'

export interface StoredMember {
  readonly name: string
  readonly data: Uint8Array
}

/** Days of 1980-01-01, which is what a zip archive says where it says nothing: the same members give the same bytes. */
const noDate = 0x0021

/**
 * A zip archive of members stored as they are, as `torch.save` writes them.
 *
 * @param members up to 65 535 of them, 4 GiB in all: what this writes has a few hundred kilobytes
 */
export function zipStored(members: readonly StoredMember[]): Uint8Array {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const { name, data } of members) {
    const nameBytes = Buffer.from(name)
    // Version, flags, method, time, date, checksum, both sizes, lengths of name and extra field.
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt16LE(noDate, 8)
    facts.writeUInt32LE(crc32(data), 10)
    facts.writeUInt32LE(data.byteLength, 14)
    facts.writeUInt32LE(data.byteLength, 18)
    facts.writeUInt16LE(nameBytes.byteLength, 22)
    const local = [Buffer.from('PK\x03\x04', 'latin1'), facts, nameBytes, data]
    // Comment, disk and attributes: none; then where the member begins.
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), facts, rest, nameBytes)
    parts.push(...local)
    offset += local.reduce((sum, part) => sum + part.byteLength, 0)
  }
  const directoryLength = directory.reduce((sum, part) => sum + part.byteLength, 0)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(directoryLength, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, ...directory, end])
}
