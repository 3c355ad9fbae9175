import { checkNumber, type Token } from '@hass-engine/core'
import { WeightsError } from '../../errors.js'
import { openFileSource } from '../../source/file-source.js'
import { type FileToWrite, writeAtomically } from '../atomic-write.js'
import { zipStored } from './zip-writer.js'
import { readZippedTorch } from './zipped.js'

/*
 * A token map of FR-Spec, as SGLang's `--speculative-token-map` loads it: `torch.save` of a flat list of token ids, the
 * target's id of each entry of a draft vocabulary (SGLang, srt/speculative/spec_utils.py, `load_token_map`; thunlp/FR-Spec).
 * `torch.load(path, weights_only=True)` gives the list.
 */

/** Vocabularies have some hundred thousand entries. */
const maxTokens = 2 ** 24

/**
 * Writes a token map, atomically.
 *
 * @param tokens the target's ids, all different
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT`; WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`
 */
export async function writeTokenMap(path: string, tokens: ArrayLike<Token>): Promise<void> {
  await writeAtomically([tokenMapFile(path, tokens)])
}

export function tokenMapFile(path: string, tokens: ArrayLike<Token>): FileToWrite {
  const bytes = encodeTokenMap(tokens)
  return { path, write: (append) => append(bytes) }
}

/**
 * Reads a token map.
 *
 * @throws WeightsError `HASS_ERR_PICKLE` if the file holds something else than a list of token ids, and the codes of
 * PyTorch files
 */
export async function readTokenMap(path: string): Promise<Uint32Array> {
  const source = await openFileSource(path)
  const { value } = await readZippedTorch(source)
  const isToken = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 32
  if (Array.isArray(value) && value.length > 0 && value.every(isToken)) return Uint32Array.from(value as number[])
  throw new WeightsError('HASS_ERR_PICKLE', `${source.name} holds no list of token ids: it is no token map.`, {
    file: source.name,
  })
}

function encodeTokenMap(tokens: ArrayLike<Token>): Uint8Array {
  checkNumber(tokens.length, 'tokens.length', { min: 1, max: maxTokens, isInteger: true })
  const seen = new Set<Token>()
  for (let i = 0; i < tokens.length; i++) {
    // Pickle's four-byte integers have a sign.
    seen.add(checkNumber(tokens[i], `tokens[${i}]`, { min: 0, below: 2 ** 31, isInteger: true }))
  }
  checkNumber(seen.size, 'the number of different tokens', { min: tokens.length })
  const text = (value: string) => new TextEncoder().encode(value)
  return zipStored([
    { name: 'archive/data.pkl', data: pickleList(tokens) },
    { name: 'archive/byteorder', data: text('little') },
    { name: 'archive/version', data: text('3\n') },
  ])
}

/** Protocol 2, as `torch.save` uses it: an empty list to which all ids are appended. */
function pickleList(tokens: ArrayLike<Token>): Uint8Array {
  const bytes = Buffer.alloc(6 + 5 * tokens.length)
  // PROTO 2, EMPTY_LIST, MARK, a BININT each, APPENDS, STOP.
  bytes.set([0x80, 2, 0x5d, 0x28])
  let at = 4
  for (let i = 0; i < tokens.length; i++) {
    bytes[at] = 0x4a
    bytes.writeInt32LE(tokens[i]!, at + 1)
    at += 5
  }
  bytes.set([0x65, 0x2e], at)
  return bytes
}
