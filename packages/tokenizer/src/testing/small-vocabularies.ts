import { byteLevelBytes } from '../byte-level.js'
import { createTokenizer } from '../create-tokenizer.js'
import type { Tokenizer } from '../tokenizer.js'

// biome-ignore lint/suspicious/noExplicitAny: tests put anything into it
export type Json = any

export const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true }

/** `a`, `b`, `ab` and the special `<s>`. */
export function small(change: (json: Json) => void = () => {}): Json {
  const json: Json = {
    added_tokens: [{ id: 3, content: '<s>', special: true }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
  }
  change(json)
  return json
}

/** A byte-fallback vocabulary: 256 byte tokens, `▁`, `a`, `▁a`. */
export function smallFallback(change: (json: Json) => void = () => {}): Json {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const vocab = Object.fromEntries(['<unk>', ...bytes, '▁', 'a', '▁a'].map((token, id) => [token, id]))
  return small((json) => {
    json.added_tokens = [{ id: 0, content: '<unk>', special: true }]
    json.pre_tokenizer = null
    json.normalizer = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
    json.model = { type: 'BPE', vocab, merges: [['▁', 'a']], byte_fallback: true, unk_token: '<unk>', fuse_unk: true }
    json.decoder = {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    }
    change(json)
  })
}

/** A vocabulary of all bytes, ` O` and ` T`, and the two control tokens of ChatML: opened within milliseconds. */
export function createChatTokenizer(chatTemplate: string): Tokenizer {
  const characters = Array.from({ length: 0x200 }, (_, code) => String.fromCharCode(code))
  const bytes = characters.filter((character) => character > ' ' && byteLevelBytes(character).length === 1)
  const tokens = [...bytes.filter((character) => character < '\u007f' || character > '\u00a0'), 'ĠO', 'ĠT']
  const control = ['<|im_start|>', '<|im_end|>']
  return createTokenizer({
    tokenizer: {
      added_tokens: control.map((content, index) => ({ id: tokens.length + index, content, special: true })),
      pre_tokenizer: byteLevel,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: ['Ġ O', 'Ġ T'],
      },
    },
    tokenizerConfig: { bos_token: control[0], eos_token: control[1] },
    chatTemplate,
  })
}
