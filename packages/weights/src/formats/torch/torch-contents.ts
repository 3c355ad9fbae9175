import type { StorageBytes } from './storage-bytes.js'
import type { PickleValue } from './unpickle.js'

/** What either layout of the file gives: the saved value and the storages that it refers to. */
export interface TorchContents {
  readonly value: PickleValue
  /** Checked: each has exactly the bytes that the pickle declares. */
  readonly storages: ReadonlyMap<string, StorageBytes>
}
