import { HassError, type HassErrorDetails } from '@hass-engine/core'

/**
 * Every code that this package throws, besides `HASS_ERR_INVALID_ARGUMENT` of core. Codes are permanent.
 *
 * Files:
 * - `HASS_ERR_FILE_READ`: a file cannot be opened or read (missing, no permission, not a regular file)
 * - `HASS_ERR_FILE_CHANGED`: a file is no longer the one whose header was read
 * - `HASS_ERR_FILE_WRITE`: a file could not be written, synced or renamed; what was there before is intact
 * - `HASS_ERR_NO_SPACE`: the same because the disk or the quota is full
 * - `HASS_ERR_TRUNCATED`: a file ends before the data that its header announces
 * - `HASS_ERR_CHECKSUM`: bytes do not have the checksum stored with them
 * - `HASS_ERR_OUT_OF_MEMORY`: a tensor does not fit into one buffer
 * - `HASS_ERR_UNSAFE_PATH`: a file names another one outside its own folder
 *
 * Formats:
 * - `HASS_ERR_FORMAT_UNKNOWN`: no known weight format
 * - `HASS_ERR_JSON`: JSON that is malformed, has duplicate keys, or integers beyond 2^53
 * - `HASS_ERR_SAFETENSORS_HEADER_LENGTH`: the header's length is zero, beyond the file, or beyond the cap
 * - `HASS_ERR_SAFETENSORS_HEADER`: an entry of the header is not as the format prescribes
 * - `HASS_ERR_SAFETENSORS_OFFSETS`: byte ranges overlap, leave holes, are reversed, or differ from shape and dtype
 * - `HASS_ERR_SHARD_INDEX`: an index file and its shards disagree
 * - `HASS_ERR_SHAPE_OVERFLOW`: a shape is negative or has more than 2^53 elements or bytes
 * - `HASS_ERR_DUPLICATE_NAME`: two tensors, keys or members of one name
 * - `HASS_ERR_DTYPE`: an element type that is unknown or not supported
 * - `HASS_ERR_GGUF_HEADER`: magic or version
 * - `HASS_ERR_GGUF_COUNT`: a count or length that the file has no bytes for, or beyond a cap
 * - `HASS_ERR_GGUF_DEPTH`: arrays nested too deep
 * - `HASS_ERR_GGUF_TYPE`: an unknown metadata type, or a key of the wrong type
 * - `HASS_ERR_GGUF_FIELD`: alignment, names or dimensions that the format forbids
 * - `HASS_ERR_GGUF_OFFSETS`: a tensor's offset is misaligned or overlaps another tensor
 * - `HASS_ERR_TORCH_FILE`: the container of a PyTorch file is not as `torch.save` writes it
 * - `HASS_ERR_TORCH_STORAGE`: a storage is missing or of the wrong size, or a tensor reaches outside of it
 * - `HASS_ERR_PICKLE`: a malformed pickle, or one that builds something else than tensors in dictionaries
 * - `HASS_ERR_PICKLE_OPCODE`: an opcode that is not on the list
 * - `HASS_ERR_PICKLE_GLOBAL`: a global that is not on the list; nothing was imported or called
 * - `HASS_ERR_QUANTIZATION`: scales are missing, left over or of the wrong shape
 *
 * Models:
 * - `HASS_ERR_MODEL_FILES`: a folder lacks config or weights
 * - `HASS_ERR_MODEL_CONFIG`: a field of the configuration is missing, of the wrong type, or not supported
 * - `HASS_ERR_MODEL_ARCHITECTURE`: an architecture that is not known
 * - `HASS_ERR_MODEL_TENSORS`: tensors are missing, left over or of the wrong shape
 * - `HASS_ERR_DRAFT_MISMATCH`: a draft head does not fit its target
 * - `HASS_ERR_EXPORT`: a draft head does not fit into the layout in which it is to be exported
 */
export type WeightsErrorCode = `HASS_ERR_${
  | 'FILE_READ'
  | 'FILE_CHANGED'
  | 'FILE_WRITE'
  | 'NO_SPACE'
  | 'TRUNCATED'
  | 'CHECKSUM'
  | 'OUT_OF_MEMORY'
  | 'UNSAFE_PATH'
  | 'FORMAT_UNKNOWN'
  | 'JSON'
  | 'SAFETENSORS_HEADER_LENGTH'
  | 'SAFETENSORS_HEADER'
  | 'SAFETENSORS_OFFSETS'
  | 'SHARD_INDEX'
  | 'SHAPE_OVERFLOW'
  | 'DUPLICATE_NAME'
  | 'DTYPE'
  | 'GGUF_HEADER'
  | 'GGUF_COUNT'
  | 'GGUF_DEPTH'
  | 'GGUF_TYPE'
  | 'GGUF_FIELD'
  | 'GGUF_OFFSETS'
  | 'TORCH_FILE'
  | 'TORCH_STORAGE'
  | 'PICKLE'
  | 'PICKLE_OPCODE'
  | 'PICKLE_GLOBAL'
  | 'QUANTIZATION'
  | 'MODEL_FILES'
  | 'MODEL_CONFIG'
  | 'MODEL_ARCHITECTURE'
  | 'MODEL_TENSORS'
  | 'DRAFT_MISMATCH'
  | 'EXPORT'}`

/** An error of this package; see `WeightsErrorCode` for what each code means. */
export class WeightsError extends HassError {
  override readonly name = 'WeightsError'
  declare readonly code: WeightsErrorCode

  constructor(code: WeightsErrorCode, message: string, details?: HassErrorDetails, cause?: unknown) {
    super(code, message, { ...(details && { details }), ...(cause !== undefined && { cause }) })
  }
}

/** A name out of a file as a message shows it: quoted, and cut, since the file may hold one of a hundred megabytes. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
