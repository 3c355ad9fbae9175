import { beforeAll, describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openVocabulary } from './testing/test-vocabularies.js'
import type { Tokenizer } from './tokenizer.js'

interface GoldenString {
  text: string
  ids: number[]
  ids_with_special: number[]
  offsets: [number, number][]
  offsets_utf16: [number, number][]
  decode: string
  decode_skip_special: string
  stream: string[]
}

const files = listGolden('tokenizers', /\.json$/)

it('has golden vocabularies', () => expect(files.length).toBeGreaterThan(0))

describe.each(files)('%s', { timeout: 120_000 }, (file) => {
  const golden = readGoldenJson('tokenizers', file)
  const strings = golden.strings as GoldenString[]
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = openVocabulary(golden.source)
  }, 120_000)

  it('has the vocabulary size and special tokens', () => {
    expect(tokenizer.vocabSize).toBe(golden.vocab_size)
    const text = (id: number | undefined) => (id === undefined ? null : tokenizer.idToToken(id))
    expect(text(tokenizer.specialTokens.bos)).toBe(golden.bos_token)
    expect(text(tokenizer.specialTokens.eos)).toBe(golden.eos_token)
    expect(tokenizer.isEndOfGeneration(tokenizer.tokenToId(golden.eos_token)!)).toBe(true)
  })

  it('encodes every string to the same ids', async () => {
    for (const { text, ids, ids_with_special } of strings) {
      const plain = await tokenizer.encode(text, { parseSpecialTokens: true })
      expect([...plain.ids], text).toEqual(ids)
      expect(plain.offsets).toBeUndefined()
      const special = await tokenizer.encode(text, { parseSpecialTokens: true, addSpecialTokens: true })
      expect([...special.ids], text).toEqual(ids_with_special)
    }
  })

  it('gives the same UTF-16 offsets', async () => {
    for (const { text, offsets, offsets_utf16 } of strings) {
      const encoding = await tokenizer.encode(text, { parseSpecialTokens: true, withOffsets: true })
      expect([...encoding.offsets!], text).toEqual(offsets_utf16.flat())
      const codePoints = (unit: number) => [...text.slice(0, unit)].length
      expect([...encoding.offsets!].map(codePoints), text).toEqual(offsets.flat())
    }
  })

  it('decodes strings and arbitrary ids', () => {
    for (const { ids, ids_with_special, decode, decode_skip_special } of strings) {
      expect(tokenizer.decode(ids)).toBe(decode)
      expect(tokenizer.decode(ids_with_special, { skipSpecialTokens: true })).toBe(decode_skip_special)
    }
    for (const { ids, decode } of golden.raw_decode) expect(tokenizer.decode(ids), String(ids)).toBe(decode)
  })

  it('streams the same text with each id', () => {
    for (const { ids, stream } of [...strings, ...golden.raw_decode] as GoldenString[]) {
      const decoder = tokenizer.createStreamDecoder()
      expect(
        ids.map((id) => decoder.push(id)),
        String(ids),
      ).toEqual(stream)
    }
  })

  it('renders and encodes the chats', async () => {
    expect(tokenizer.hasChatTemplate).toBe(golden.chat_template !== null)
    for (const { messages, add_generation_prompt, extra, rendered, ids } of golden.chats) {
      const { tools, ...variables } = extra
      const options = { addGenerationPrompt: add_generation_prompt, variables, ...(tools ? { tools } : {}) }
      expect(tokenizer.renderChat(messages, options)).toBe(rendered)
      const encoding = await tokenizer.encodeChat(messages, { ...options, parseSpecialTokens: true })
      expect([...encoding.ids]).toEqual(ids)
      expect(encoding.text).toBe(rendered)
    }
  })
})
