import { HassError } from '@hass-engine/core'
import yauzl from 'yauzl'
import { shown, WeightsError } from '../../errors.js'
import type { ByteSource } from '../../source/byte-source.js'
import { createWindowSource } from '../../source/window-source.js'

/** A member of the archive, stored as it is. */
export interface ZipMember {
  readonly name: string
  readonly offset: number
  readonly byteLength: number
  readonly crc32: number
}

/** The largest published shards hold a few thousand tensors. */
const maxMembers = 100_000
/** A piece of the central directory. */
const windowLength = 65_536

/**
 * Lists the members of a zip archive.
 *
 * Members must be stored, not compressed: that is how `torch.save` writes, it lets tensors be read in place, and a
 * small file cannot unpack to a large one.
 *
 * @throws WeightsError `HASS_ERR_TORCH_FILE`, `HASS_ERR_DUPLICATE_NAME`
 */
export async function listZipMembers(source: ByteSource): Promise<ReadonlyMap<string, ZipMember>> {
  const reader = new SourceReader(source)
  try {
    return await Promise.race([listMembers(reader, source), reader.crash])
  } catch (error) {
    if (HassError.isInstance(error)) throw error
    throw new WeightsError(
      'HASS_ERR_TORCH_FILE',
      `${source.name} is no intact zip archive, as which torch.save writes: ${(error as Error).message}`,
      { file: source.name },
      error,
    )
  }
}

async function listMembers(reader: SourceReader, source: ByteSource): Promise<ReadonlyMap<string, ZipMember>> {
  // Names with `..`, backslashes or a leading slash are refused by the library.
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, source.size, { lazyEntries: true, autoClose: false })
  if (zip.entryCount > maxMembers) {
    throw new WeightsError(
      'HASS_ERR_TORCH_FILE',
      `${source.name} declares ${zip.entryCount} zip members, expected at most ${maxMembers}.`,
      { file: source.name, found: zip.entryCount, max: maxMembers },
    )
  }
  const entries: yauzl.Entry[] = []
  for await (const entry of zip.eachEntry()) entries.push(entry)
  // Local headers lie far apart, one in front of each member: to read a window around each would read the file.
  reader.readsWindows = false
  const members = new Map<string, ZipMember>()
  for (const entry of entries) {
    checkEntry(entry, members, source)
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true })
    members.set(entry.fileName, {
      name: entry.fileName,
      offset: fileDataStart,
      byteLength: entry.uncompressedSize,
      crc32: entry.crc32,
    })
  }
  return members
}

function checkEntry(entry: yauzl.Entry, members: ReadonlyMap<string, ZipMember>, source: ByteSource): void {
  if (members.has(entry.fileName)) {
    throw new WeightsError(
      'HASS_ERR_DUPLICATE_NAME',
      `${source.name} has the zip member ${shown(entry.fileName)} twice.`,
      { file: source.name, name: entry.fileName },
    )
  }
  if (entry.compressionMethod !== 0 || entry.isEncrypted()) {
    throw new WeightsError(
      'HASS_ERR_TORCH_FILE',
      `Zip member ${shown(entry.fileName)} of ${source.name} is compressed or encrypted, expected stored bytes, as torch.save writes them.`,
      { file: source.name, name: entry.fileName, compressionMethod: entry.compressionMethod },
    )
  }
}

/** Lets the zip library read a `ByteSource`. */
class SourceReader extends yauzl.RandomAccessReader {
  readsWindows = true
  /** Rejects when the library throws inside a callback, where nobody would catch it. */
  readonly crash: Promise<never>
  readonly #window: ByteSource
  #reportCrash!: (error: unknown) => void

  constructor(private readonly source: ByteSource) {
    super()
    this.#window = createWindowSource(source, windowLength)
    this.crash = new Promise((_, reject) => {
      this.#reportCrash = reject
    })
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const source = this.readsWindows ? this.#window : this.source
    source
      .readInto(buffer.subarray(offset, offset + length), position)
      .then(() => callback(null), callback)
      .catch(this.#reportCrash)
  }
}
