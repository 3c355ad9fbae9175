import type { Token } from '@hass-engine/core'
import { createTokenizer, type Tokenizer } from '@hass-engine/tokenizer'

/** Byte-level alphabets spell the bytes that cannot be printed as the characters from U+0100 on (GPT-2). */
const byteCharacters = (() => {
  const isPrinted = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrinted(byte) ? byte : next++))
})()

/** The files of a byte-level vocabulary without merges: each byte a token as far as ids last, then pairs of letters. */
export function tinyTokenizerFiles(vocabSize: number, endIds: readonly Token[]) {
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  const pairs = [...letters].flatMap((first) => [...letters].map((second) => first + second))
  const texts = [...byteCharacters, ...pairs]
  const vocab: Record<string, Token> = {}
  for (let id = 0; id < vocabSize; id++) {
    vocab[endIds.includes(id) ? `<end-${id}>` : (texts.shift() ?? `<unused-${id}>`)] = id
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: endIds.map((id) => ({ id, content: `<end-${id}>`, ...flags })),
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        vocab,
        merges: [],
      },
    },
    generationConfig: { eos_token_id: endIds },
    tokenizerConfig: {
      eos_token: `<end-${endIds[0]}>`,
      chat_template:
        "{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    },
  }
}

export function createTinyTokenizer(vocabSize: number, endIds: readonly Token[]): Tokenizer {
  return createTokenizer({ ...tinyTokenizerFiles(vocabSize, endIds), embeddingRows: vocabSize })
}
