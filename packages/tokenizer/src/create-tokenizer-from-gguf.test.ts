import { HassError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { createTokenizerFromGguf } from './create-tokenizer-from-gguf.js'

function gpt2(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': ['a', 'b', 'ab', '<s>', '1', 'Ġ', '<u>'],
    'tokenizer.ggml.token_type': [1, 1, 1, 3, 1, 1, 4],
    'tokenizer.ggml.merges': ['a b'],
    'tokenizer.ggml.bos_token_id': 3,
    ...changes,
  }
}

function llama(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', '▁a', 'aa']
  const types = tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1))
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.scores': tokens.map((_, id) => -id),
    'tokenizer.ggml.bos_token_id': 1n,
    'tokenizer.ggml.eos_token_id': 2,
    ...changes,
  }
}

function codeOf(metadata: Record<string, unknown>): string {
  try {
    createTokenizerFromGguf(metadata)
  } catch (error) {
    return HassError.isInstance(error) ? error.code : `untyped: ${error}`
  }
  return 'no error'
}

const encode = async (metadata: Record<string, unknown>, text: string, options = {}) => [
  ...(await createTokenizerFromGguf(metadata).encode(text, options)).ids,
]

describe('gpt2', () => {
  it('adds tokens at the ends as the metadata says', async () => {
    const added = { addSpecialTokens: true }
    expect(await encode(gpt2(), 'ab', added)).toEqual([2])
    expect(await encode(gpt2({ 'tokenizer.ggml.add_bos_token': true }), 'ab', added)).toEqual([3, 2])
    const both = {
      'tokenizer.ggml.add_eos_token': true,
      'tokenizer.ggml.eos_token_id': 6,
      'tokenizer.ggml.pre': 'llama-bpe',
    }
    expect(await encode(gpt2(both), 'ab', added)).toEqual([3, 2, 6])
  })

  it('finds user-defined tokens in any text, control tokens when asked', async () => {
    expect(await encode(gpt2(), 'a<u>a')).toEqual([0, 6, 0])
    expect(await encode(gpt2(), 'a<s>a', { parseSpecialTokens: true })).toEqual([0, 3, 0])
    expect(await encode(gpt2(), 'a<s>a')).toEqual([0, 0])
  })

  it('has a default cut and token types', async () => {
    const bare = gpt2({ 'tokenizer.ggml.token_type': undefined, 'tokenizer.ggml.pre': undefined })
    expect(await encode(bare, 'abba')).toEqual([2, 1, 0])
  })

  it('takes numbers of any width', async () => {
    const wide = gpt2({ 'tokenizer.ggml.token_type': BigInt64Array.of(1n, 1n, 1n, 3n, 1n, 1n, 4n) })
    expect(await encode(wide, 'a<u>a')).toEqual([0, 6, 0])
  })

  it('names its ends and templates', () => {
    const tokenizer = createTokenizerFromGguf(
      new Map(
        Object.entries(
          gpt2({
            'tokenizer.ggml.eos_token_id': 6n,
            'tokenizer.ggml.eot_token_id': 3,
            'tokenizer.chat_template': 'D',
            'tokenizer.chat_templates': ['tool_use', 'other'],
            'tokenizer.chat_template.tool_use': 'T',
          }),
        ),
      ),
    )
    expect(tokenizer.endOfGenerationIds).toEqual([3, 6])
    expect(tokenizer.renderChat([], { tools: [] }) + tokenizer.renderChat([])).toBe('TD')
    expect(createTokenizerFromGguf(gpt2(), { chatTemplate: 'O' }).renderChat([])).toBe('O')
  })
})

describe('llama', () => {
  it('merges by score, with a space before text and bytes for the rest', async () => {
    expect(await encode(llama(), 'aaa a', { addSpecialTokens: true })).toEqual([1, 261, 262, 261])
    const bare = llama({ 'tokenizer.ggml.add_space_prefix': false })
    expect(await encode(bare, 'aé')).toEqual([260, 3 + 0xc3, 3 + 0xa9])
    expect(createTokenizerFromGguf(bare).decode([259, 260])).toBe(' a')
    expect(createTokenizerFromGguf(llama()).decode([259, 260])).toBe('a')
  })
})

describe('refused', () => {
  it.each([
    ['UNSUPPORTED', 'another model', gpt2({ 'tokenizer.ggml.model': 'bert' })],
    ['UNSUPPORTED', 'a model called constructor', gpt2({ 'tokenizer.ggml.model': 'constructor' })],
    ['UNSUPPORTED', 'no model', gpt2({ 'tokenizer.ggml.model': undefined })],
    ['UNSUPPORTED', 'another cut', gpt2({ 'tokenizer.ggml.pre': '(a+)+$' })],
    ['UNSUPPORTED', 'a space before byte-level text', gpt2({ 'tokenizer.ggml.add_space_prefix': true })],
    ['UNSUPPORTED', 'a character map', llama({ 'tokenizer.ggml.precompiled_charsmap': [1] })],
    ['FORMAT', 'no tokens', gpt2({ 'tokenizer.ggml.tokens': undefined })],
    ['FORMAT', 'tokens of another type', gpt2({ 'tokenizer.ggml.tokens': [1] })],
    ['FORMAT', 'no merges', gpt2({ 'tokenizer.ggml.merges': undefined })],
    ['FORMAT', 'types of another type', gpt2({ 'tokenizer.ggml.token_type': 'x' })],
    ['FORMAT', 'types of another length', gpt2({ 'tokenizer.ggml.token_type': [1] })],
    ['FORMAT', 'types that are no numbers', gpt2({ 'tokenizer.ggml.token_type': Array(7).fill('x') })],
    ['FORMAT', 'types seen as bytes', gpt2({ 'tokenizer.ggml.token_type': new DataView(new ArrayBuffer(7)) })],
    ['FORMAT', 'no scores', llama({ 'tokenizer.ggml.scores': undefined })],
    [
      'FORMAT',
      'scores that are not finite',
      llama({ 'tokenizer.ggml.scores': new Float32Array(263).fill(Number.NaN) }),
    ],
    ['FORMAT', 'an id of another type', gpt2({ 'tokenizer.ggml.bos_token_id': 'x' })],
    ['FORMAT', 'a negative id', gpt2({ 'tokenizer.ggml.bos_token_id': -1 })],
    ['FORMAT', 'a flag of another type', gpt2({ 'tokenizer.ggml.add_bos_token': 1 })],
    ['FORMAT', 'a template of another type', gpt2({ 'tokenizer.chat_template': 1 })],
    ['VOCAB', 'an unknown type', gpt2({ 'tokenizer.ggml.token_type': new Uint8Array(7).fill(9) })],
    ['VOCAB', 'a byte that is none', gpt2({ 'tokenizer.ggml.token_type': new Uint8Array(7).fill(6) })],
    ['VOCAB', 'a token twice', gpt2({ 'tokenizer.ggml.tokens': ['a', 'b', 'ab', '<s>', '1', 'a', '<u>'] })],
    ['VOCAB', 'an unknown token outside', llama({ 'tokenizer.ggml.unknown_token_id': 999 })],
    ['VOCAB', 'an id outside', gpt2({ 'tokenizer.ggml.bos_token_id': 7 })],
    [
      'VOCAB',
      'no byte tokens',
      llama({
        'tokenizer.ggml.tokens': Array.from({ length: 263 }, (_, i) => `t${i}`),
        'tokenizer.ggml.token_type': undefined,
      }),
    ],
    [
      'VOCAB',
      'an endless token',
      llama({
        'tokenizer.ggml.tokens': [...(llama()['tokenizer.ggml.tokens'] as string[]).slice(0, 262), 'a'.repeat(257)],
      }),
    ],
  ])('%s: %s', (code, _, metadata) => {
    expect(codeOf(metadata)).toBe(`HASS_ERR_TOKENIZER_${code}`)
  })
})
