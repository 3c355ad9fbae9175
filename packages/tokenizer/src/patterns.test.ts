import { expect, it } from 'vitest'
import { byteLevelBytes } from './byte-level.js'
import { createTokenizerFromGguf } from './create-tokenizer-from-gguf.js'
import { ggufPreTokenizers } from './patterns.js'

const characters = Array.from({ length: 0x150 }, (_, code) => String.fromCharCode(code))
const characterOfByte = new Map(characters.map((character) => [byteLevelBytes(character).join(), character]))

/**
 * The pieces that a text of distinct ASCII characters is cut into before BPE: every part of it is a token, and merges
 * go from left to right, so that each piece becomes one token.
 */
async function cut(pre: string, text: string): Promise<string[]> {
  const spelled = [...text].map((character) => characterOfByte.get(String(character.charCodeAt(0)))!)
  const tokens = [...spelled]
  const merges: string[] = []
  for (let from = 0; from < spelled.length; from++) {
    for (let to = from + 2; to <= spelled.length; to++) {
      tokens.push(spelled.slice(from, to).join(''))
      merges.push(`${spelled.slice(from, to - 1).join('')} ${spelled[to - 1]}`)
    }
  }
  const tokenizer = createTokenizerFromGguf({
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.merges': merges,
  })
  const { ids, offsets } = await tokenizer.encode(text, { withOffsets: true })
  return Array.from(ids, (_, i) => text.slice(offsets![2 * i], offsets![2 * i + 1]))
}

const texts = ['a1234', 'x 5678', "we'RE", 'abCDef', 'p!?\nq', 'm `', 'm +', '(\n/', '#sum']
/** Worked out by hand from the patterns that llama.cpp's `llama-vocab.cpp` publishes for each name. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'gpt-2': ['a|1234', 'x| 5678', "we|'|RE", 'abCDef', 'p|!?|\n|q', 'm| `', 'm| +', '(|\n|/', '#|sum'],
  smollm: ['a|1|2|3|4', 'x| |5|6|7|8', "we|'|RE", 'abCDef', 'p|!?|\n|q', 'm| `', 'm| +', '(|\n|/', '#|sum'],
  'llama-bpe': ['a|123|4', 'x| |567|8', "we|'RE", 'abCDef', 'p|!?\n|q', 'm| `', 'm| +', '(\n|/', '#sum'],
  qwen2: ['a|1|2|3|4', 'x| |5|6|7|8', "we|'RE", 'abCDef', 'p|!?\n|q', 'm| `', 'm| +', '(\n|/', '#sum'],
  'deepseek-v3': ['a|123|4', 'x| |567|8', "we|'RE", 'abCDef', 'p|!?\n|q', 'm| `', 'm| +', '(\n|/', '#sum'],
  falcon: ['a|123|4', 'x| |567|8', "we|'|RE", 'abCDef', 'p|!?|\n|q', 'm| |`', 'm| |+', '(|\n|/', '#|sum'],
  default: ['a|123|4', 'x| |567|8', "we|'|RE", 'abCDef', 'p|!?|\n|q', 'm| `', 'm| |+', '(|\n|/', '#|sum'],
  'gpt-4o': ['a|123|4', 'x| |567|8', "we'RE", 'ab|CDef', 'p|!?\n|q', 'm| `', 'm| +', '(\n/', '#sum'],
  tekken: ['a|1|2|3|4', 'x| |5|6|7|8', "we|'RE", 'ab|CDef', 'p|!?\n|q', 'm| `', 'm| +', '(\n/', '#sum'],
}
const familyOf: Readonly<Record<string, string>> = {
  ...alias('gpt-2', 'gpt2', 'mpt', 'olmo', 'jais', 'phi-2'),
  ...alias('smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'),
  ...alias('llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'lfm2'),
  ...alias('qwen2', 'deepseek-r1-qwen', 'stablelm2', 'hunyuan'),
  ...alias('gpt-4o', 'llama4'),
}

function alias(family: string, ...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, family]))
}

it.each([...ggufPreTokenizers.keys()])('cuts text by %s', async (pre) => {
  const pieces: string[] = []
  for (const text of texts) pieces.push((await cut(pre, text)).join('|'))
  expect(pieces).toEqual(expected[familyOf[pre] ?? pre])
})

it('composes text and adds a beginning for the models that do', async () => {
  const metadata = (pre: string) => ({
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': ['e', 'Ì', 'ģ', 'Ã', '©', '<s>'],
    'tokenizer.ggml.token_type': [1, 1, 1, 1, 1, 3],
    'tokenizer.ggml.merges': [],
    'tokenizer.ggml.bos_token_id': 5,
  })
  for (const pre of ggufPreTokenizers.keys()) {
    const { ids } = await createTokenizerFromGguf(metadata(pre)).encode('e\u0301', { addSpecialTokens: true })
    const start = ['llama-bpe', 'tekken'].includes(familyOf[pre] ?? pre) ? [5] : []
    const isComposed = pre === 'qwen2' || pre === 'deepseek-r1-qwen'
    expect([...ids], pre).toEqual([...start, ...(isComposed ? [3, 4] : [0, 1, 2])])
  }
})
