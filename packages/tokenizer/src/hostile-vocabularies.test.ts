import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HassError } from '@hass-engine/core'
import { afterAll, describe, expect, it } from 'vitest'
import { createNativeTokenizer } from './binding.js'
import { createTokenizer } from './create-tokenizer.js'
import { loadTokenizer } from './load-tokenizer.js'
import { byteLevel, type Json, small, smallFallback } from './testing/small-vocabularies.js'

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return HassError.isInstance(error) ? error.code : `untyped: ${error}`
  }
  return 'no error'
}

const template = (single: Json, special_tokens: Json) => (json: Json) => {
  json.post_processor = { type: 'TemplateProcessing', single, pair: [], special_tokens }
}
const textPiece = { Sequence: { id: 'A', type_id: 0 } }
const tokenPiece = (id: string) => ({ SpecialToken: { id, type_id: 0 } })

it('takes the vocabularies that the cases below spoil', async () => {
  const tokenizer = createTokenizer({ tokenizer: small() })
  expect([...(await tokenizer.encode('abba')).ids]).toEqual([2, 1, 0])
  const fallback = createTokenizer({ tokenizer: smallFallback() })
  expect(fallback.decode((await fallback.encode(' aé')).ids)).toBe('aé')
})

describe('a hostile tokenizer.json is refused', () => {
  const cases: [string, string, (json: Json) => void][] = [
    ['VOCAB', 'a negative id', (j) => (j.model.vocab.a = -1)],
    ['VOCAB', 'a huge id', (j) => (j.model.vocab.a = 2 ** 32 - 1)],
    ['VOCAB', 'a fractional id', (j) => (j.model.vocab.a = 0.5)],
    ['VOCAB', 'an id of another type', (j) => (j.model.vocab.a = '0')],
    ['VOCAB', 'two tokens with one id', (j) => (j.model.vocab.b = 0)],
    ['VOCAB', 'an added token with another id than in the vocabulary', (j) => (j.added_tokens[0].content = 'ab')],
    ['VOCAB', 'an added token in a hole', (j) => (j.added_tokens[0].id = 9)],
    ['VOCAB', 'an empty vocabulary', (j) => Object.assign(j, { added_tokens: [], model: { vocab: {}, merges: [] } })],
    ['VOCAB', 'a merge outside the vocabulary', (j) => (j.model.merges = ['a z'])],
    ['VOCAB', 'a merge without two parts', (j) => (j.model.merges = ['abc'])],
    ['VOCAB', 'an unknown token outside the vocabulary', (j) => (j.model.unk_token = 'zz')],
    [
      'VOCAB',
      'a template token outside the vocabulary',
      template([tokenPiece('<s>'), textPiece], { '<s>': { ids: [77], tokens: ['<s>'] } }),
    ],
    ['FORMAT', 'merges of another type', (j) => (j.model.merges = [1])],
    ['FORMAT', 'merges that are no list', (j) => (j.model.merges = 'a b')],
    ['FORMAT', 'a template that names an unknown token', template([tokenPiece('<s>'), textPiece], {})],
    ['FORMAT', 'a template of two texts', template([{ Sequence: { id: 'B', type_id: 0 } }], {})],
    ['FORMAT', 'a template without text', template([], {})],
    [
      'FORMAT',
      'a template token with two ids',
      template([tokenPiece('<s>'), textPiece], { '<s>': { ids: [3, 3], tokens: ['<s>'] } }),
    ],
    ['FORMAT', 'no model', (j) => delete j.model],
    ['FORMAT', 'a template token without entries', template([tokenPiece('<s>'), textPiece], undefined)],
    ['FORMAT', 'a model that JSON cannot hold', (j) => (j.model = 1n)],
    ['FORMAT', 'a model that holds itself', (j) => (j.model.type = j)],
    ['FORMAT', 'a model type that is a function', (j) => (j.model.type = () => 'BPE')],
    ['FORMAT', 'a vocabulary that is a list', (j) => (j.model.vocab = ['a'])],
    ['FORMAT', 'added tokens of another type', (j) => (j.added_tokens = [5])],
    ['FORMAT', 'a flag of another type', (j) => (j.added_tokens[0].special = 'yes')],
    ['FORMAT', 'an added id of another type', (j) => (j.added_tokens[0].id = 3.5)],
    [
      'FORMAT',
      'an empty replacement pattern',
      (j) => (j.normalizer = { type: 'Replace', pattern: { String: '' }, content: 'x' }),
    ],
    ['FORMAT', 'a long prefix', (j) => (j.normalizer = { type: 'Prepend', prepend: 'x'.repeat(65) })],
    [
      'FORMAT',
      'growing replacements',
      (j) =>
        (j.normalizer = {
          type: 'Sequence',
          normalizers: Array(3).fill({ type: 'Replace', pattern: { String: 'a' }, content: 'aaaaaaaa' }),
        }),
    ],
    [
      'FORMAT',
      'a long sequence',
      (j) => (j.normalizer = { type: 'Sequence', normalizers: Array(17).fill({ type: 'NFC' }) }),
    ],
    [
      'FORMAT',
      'a deep sequence',
      (j) => {
        for (let i = 0; i < 5; i++) j.pre_tokenizer = { type: 'Sequence', pretokenizers: [j.pre_tokenizer] }
      },
    ],
    ['FORMAT', 'a wide metaspace', (j) => (j.pre_tokenizer = { type: 'Metaspace', replacement: 'ab' })],
    ['FORMAT', 'no decoder', (j) => (j.decoder = null)],
    ['UNSUPPORTED', 'a metaspace scheme', (j) => (j.pre_tokenizer = { type: 'Metaspace', prepend_scheme: 'x' })],
    ['UNSUPPORTED', 'a character map', (j) => (j.normalizer = { type: 'Precompiled', precompiled_charsmap: 'AAAA' })],
    ['UNSUPPORTED', 'a word prefix', (j) => (j.model.continuing_subword_prefix = '##########')],
    ['UNSUPPORTED', 'another model', (j) => (j.model.type = 'Unigram')],
    ['UNSUPPORTED', 'a control token that is no part of a word', (j) => (j.added_tokens[0].single_word = true)],
    ['UNSUPPORTED', 'dropout', (j) => (j.model.dropout = 0.5)],
    ['UNSUPPORTED', 'byte fallback without byte tokens', (j) => (j.model.byte_fallback = true)],
    ['UNSUPPORTED', 'another pre-tokenizer', (j) => (j.pre_tokenizer = { type: 'BertPreTokenizer' })],
    [
      'UNSUPPORTED',
      'another behaviour',
      (j) => (j.pre_tokenizer = { type: 'Split', pattern: { String: 'a' }, behavior: 'x' }),
    ],
    ['UNSUPPORTED', 'another post-processor', (j) => (j.post_processor = { type: 'BertProcessing' })],
    ['UNSUPPORTED', 'another decoder', (j) => (j.decoder = { type: 'WordPiece' })],
    [
      'UNSUPPORTED',
      'another sequence of decoders',
      (j) => (j.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }] }),
    ],
    [
      'REGEX',
      'a pattern of its own',
      (j) => (j.pre_tokenizer = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated' }),
    ],
    [
      'REGEX',
      'a pattern in a sequence',
      (j) =>
        (j.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [{ type: 'Split', pattern: { Regex: '(a|a)*b' }, behavior: 'Isolated' }],
        }),
    ],
    [
      'REGEX',
      'a pattern in a normalizer',
      (j) => (j.normalizer = { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' }),
    ],
  ]
  it.each(cases)('%s: %s', (code, _, change) => {
    expect(codeOf(() => createTokenizer({ tokenizer: small(change) }))).toBe(`HASS_ERR_TOKENIZER_${code}`)
  })

  it.each(['<0x-1>', '<0xZZ>', '<0x100>', '<0xab>', '<0x>'])('VOCAB: the byte token %s', (token) => {
    const added = smallFallback((json) => (json.model.vocab[token] = 300))
    expect(codeOf(() => createTokenizer({ tokenizer: added }))).toBe('HASS_ERR_TOKENIZER_VOCAB')
  })

  it('VOCAB: a missing byte token', () => {
    const missing = smallFallback((json) => delete json.model.vocab['<0x41>'])
    expect(codeOf(() => createTokenizer({ tokenizer: missing }))).toBe('HASS_ERR_TOKENIZER_VOCAB')
  })

  it('UNSUPPORTED: byte tokens without byte fallback', () => {
    const unused = smallFallback((json) => (json.model.byte_fallback = false))
    expect(codeOf(() => createTokenizer({ tokenizer: unused }))).toBe('HASS_ERR_TOKENIZER_UNSUPPORTED')
  })

  it.each([null, undefined, 5, 'x', []])('FORMAT: %s', (tokenizer) => {
    expect(codeOf(() => createTokenizer({ tokenizer }))).toBe('HASS_ERR_TOKENIZER_FORMAT')
  })

  it('leaves truncation, padding and what is unknown behind', async () => {
    const tokenizer = createTokenizer({
      tokenizer: small((json) => {
        json.truncation = { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 5 }
        json.padding = {
          strategy: { Fixed: 9 },
          direction: 'Right',
          pad_to_multiple_of: 0,
          pad_id: 9,
          pad_type_id: 0,
          pad_token: 'x',
        }
        json.model.vocab = JSON.parse('{"a":0,"b":1,"ab":2,"__proto__":4,"constructor":5}')
        json.added_tokens = []
      }),
    })
    expect([...(await tokenizer.encode('aaabbb')).ids]).toEqual([0, 0, 2, 1, 1])
    expect([
      tokenizer.tokenToId('__proto__'),
      tokenizer.tokenToId('constructor'),
      tokenizer.tokenToId('toString'),
    ]).toEqual([4, 5, undefined])
  })

  it('cuts text as its parts say', async () => {
    const ids = async (change: (json: Json) => void, text: string, options = {}) => {
      const tokenizer = createTokenizer({ tokenizer: small(change) })
      return [...(await tokenizer.encode(text, options)).ids]
    }
    const cut =
      (...pretokenizers: Json[]) =>
      (json: Json) => {
        json.pre_tokenizer = { type: 'Sequence', pretokenizers }
        json.added_tokens = []
        Object.assign(json.model.vocab, { 1: 4, 11: 5 })
        json.model.merges.push('1 1')
      }
    const whole = { ...byteLevel, use_regex: false }
    expect(await ids(cut(whole), 'ab11')).toEqual([2, 5])
    expect(await ids(cut({ type: 'Digits', individual_digits: true }, whole), 'ab11')).toEqual([2, 4, 4])
    expect(await ids(cut({ type: 'Digits' }, whole), 'ab11')).toEqual([2, 5])
    const split = { type: 'Split', pattern: { String: 'b' }, behavior: 'Removed' }
    expect(await ids(cut(split, whole), 'abab')).toEqual([0, 0])
    expect(await ids(cut({ ...split, invert: true }, whole), 'abab')).toEqual([1, 1])
    const metaspace = { type: 'Metaspace', replacement: 'b' }
    const unspaced = (json: Json) => (json.pre_tokenizer = { ...metaspace, add_prefix_space: false })
    expect(await ids((json) => (json.pre_tokenizer = metaspace), 'a')).toEqual([1, 0])
    expect(await ids(unspaced, 'a')).toEqual([0])
    const twice = (json: Json) => {
      const single = [tokenPiece('<s>'), textPiece]
      const processor = { type: 'TemplateProcessing', single, special_tokens: { '<s>': { ids: [3], tokens: ['<s>'] } } }
      json.post_processor = { type: 'Sequence', processors: [byteLevel, processor] }
    }
    expect(await ids(twice, 'a', { addSpecialTokens: true })).toEqual([3, 0])
    expect(await ids((json) => delete json.added_tokens, 'ab')).toEqual([2])
  })

  it('finds control tokens in normalized text only when asked', async () => {
    const tokenizer = createTokenizer({
      tokenizer: small((json) => {
        json.normalizer = { type: 'Lowercase' }
        json.added_tokens = [{ id: 3, content: 'ba', special: true, normalized: true }]
      }),
    })
    expect([...(await tokenizer.encode('BAB', { parseSpecialTokens: true })).ids]).toEqual([3, 1])
    expect([...(await tokenizer.encode('BAB')).ids]).toEqual([1, 2])
  })

  it('looks for special tokens in the text as it was given, unless the file says otherwise', async () => {
    const tokenizer = createTokenizer({
      tokenizer: small((json) => {
        json.normalizer = { type: 'Lowercase' }
        json.added_tokens = [{ id: 3, content: 'BA', special: true }]
      }),
    })
    const ids = async (text: string) => [...(await tokenizer.encode(text, { parseSpecialTokens: true })).ids]
    expect([await ids('BA'), await ids('ba')]).toEqual([[3], [1, 0]])
  })

  it('strips at most one space, or none', async () => {
    const decoded = (change: (json: Json) => void) =>
      createTokenizer({ tokenizer: smallFallback(change) }).decode([259, 259])
    expect(decoded((json) => delete json.decoder.decoders[3].stop)).toBe('a a')
    expect(decoded((json) => (json.decoder.decoders[3].start = 0))).toBe(' a a')
    expect(decoded((json) => json.decoder.decoders.pop())).toBe(' a a')
  })

  it('the native binding would have aborted the process', () => {
    // Shows that the checks above are needed: if this exit code becomes 0, they may be loosened.
    const json = JSON.stringify({
      ...small(template([tokenPiece('<x>'), textPiece], {})),
      version: '1.0',
      decoder: null,
    })
    const script = `const { Tokenizer } = require('@anush008/tokenizers'); const t = Tokenizer.fromString(${JSON.stringify(json)}); t.encode('a', null, { addSpecialTokens: true }).then(() => process.exit(0), () => process.exit(0))`
    const { status } = spawnSync(process.execPath, ['-e', script], { cwd: import.meta.dirname })
    expect(status).not.toBe(0)
  })
})

describe('special tokens and embedding rows', () => {
  it('belong to the vocabulary', () => {
    const config =
      (tokenizerConfig: Json, generationConfig: Json = {}) =>
      () =>
        createTokenizer({ tokenizer: small(), tokenizerConfig, generationConfig })
    expect(
      config({ bos_token: '<s>', pad_token: '[PAD]', eos_token: { content: '<s>' } }, { eos_token_id: [2, 3] })()
        .endOfGenerationIds,
    ).toEqual([2, 3])
    expect(codeOf(config({ bos_token: '<x>' }))).toBe('HASS_ERR_TOKENIZER_VOCAB')
    expect(codeOf(config({ bos_token: 5 }))).toBe('HASS_ERR_TOKENIZER_FORMAT')
    expect(codeOf(config({}, { eos_token_id: 4 }))).toBe('HASS_ERR_TOKENIZER_VOCAB')
    expect(codeOf(config({}, { eos_token_id: 'x' }))).toBe('HASS_ERR_TOKENIZER_FORMAT')
    expect(codeOf(config({}, { eos_token_id: Array(65).fill(3) }))).toBe('HASS_ERR_TOKENIZER_FORMAT')
    expect(codeOf(config({ chat_template: 5 }))).toBe('HASS_ERR_TOKENIZER_FORMAT')
  })

  it('fit the embedding', () => {
    expect(codeOf(() => createTokenizer({ tokenizer: small(), embeddingRows: 3 }))).toBe('HASS_ERR_TOKENIZER_VOCAB')
    const padded = createTokenizer({ tokenizer: small(), embeddingRows: 8 })
    expect(padded.decode([0, 7, 1])).toBe('ab')
    expect(padded.createStreamDecoder().push([0, 7, 1])).toBe('ab')
    for (const id of [8, -1, 0.5, Number.NaN, 2 ** 40]) {
      expect(codeOf(() => padded.decode([id]))).toBe('HASS_ERR_TOKENIZER_VOCAB')
      expect(codeOf(() => padded.createStreamDecoder().push(id))).toBe('HASS_ERR_TOKENIZER_VOCAB')
    }
    expect(codeOf(() => createTokenizer({ tokenizer: small(), embeddingRows: 0 }))).toBe('HASS_ERR_INVALID_ARGUMENT')
  })

  it('refuse unknown options', () => {
    expect(codeOf(() => createTokenizer({ tokenizer: small(), embedingRows: 3 } as Json))).toBe(
      'HASS_ERR_INVALID_ARGUMENT',
    )
    expect(codeOf(() => createTokenizer({ tokenizer: small(), templateLimits: { steps: 3 } as Json }))).toBe(
      'HASS_ERR_INVALID_ARGUMENT',
    )
    expect(codeOf(() => createTokenizer({ tokenizer: small(), templateLimits: { maxDepth: 10 ** 6 } }))).toBe(
      'HASS_ERR_INVALID_ARGUMENT',
    )
  })
})

describe('a native tokenizer', () => {
  it('that fails gives its reason', () => {
    const failing = (reason: unknown) => () => ({
      Tokenizer: {
        fromString() {
          throw reason
        },
      },
    })
    for (const reason of ['bad merge', new Error('bad merge at line 1 column 20')]) {
      expect(() => createNativeTokenizer('{}', failing(reason))).toThrow(/: bad merge\.$/)
    }
  })
})

describe('a platform without binary', () => {
  it('is told what to do', () => {
    const missing = () => {
      throw new Error('Cannot find module')
    }
    expect(codeOf(() => createNativeTokenizer('{}', missing))).toBe('HASS_ERR_TOKENIZER_BINDING')
    expect(() => createNativeTokenizer('{}', missing)).toThrow(/optional/)
  })
})

describe('a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizer-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  const code = async () =>
    loadTokenizer(folder).then(
      () => 'no error',
      (error) => (HassError.isInstance(error) ? error.code : `untyped: ${error}`),
    )

  it('is read file by file', async () => {
    expect(await code()).toBe('HASS_ERR_TOKENIZER_FILE')
    write('tokenizer.json', '{"model":')
    expect(await code()).toBe('HASS_ERR_TOKENIZER_FILE')
    write('tokenizer.json', small())
    const bare = await loadTokenizer(folder)
    expect(bare.hasChatTemplate).toBe(false)
    expect(codeOf(() => bare.renderChat([{ role: 'user', content: 'a' }]))).toBe('HASS_ERR_TEMPLATE_MISSING')
    write('config.json', { eos_token_id: 1 })
    write('tokenizer_config.json', {
      bos_token: '<s>',
      chat_template: [
        { name: 'default', template: 'D' },
        { name: 'tool_use', template: 'T' },
      ],
    })
    const named = await loadTokenizer(folder)
    expect(named.endOfGenerationIds).toEqual([1])
    expect(named.renderChat([])).toBe('D')
    expect(named.renderChat([], { tools: [] })).toBe('T')
    write('generation_config.json', { eos_token_id: [0, 2] })
    write('chat_template.json', { chat_template: 'J{{ bos_token }}' })
    const json = await loadTokenizer(folder)
    expect([json.endOfGenerationIds, json.renderChat([])]).toEqual([[0, 2], 'J<s>'])
    write('chat_template.jinja', 'F{{ messages[0].content }}')
    expect((await loadTokenizer(folder)).renderChat([{ role: 'user', content: 'x' }])).toBe('Fx')
    expect((await loadTokenizer(folder, { chatTemplate: 'O' })).renderChat([])).toBe('O')
    write('tokenizer_config.json', 'null')
    expect((await loadTokenizer(folder)).specialTokens).toEqual({})
  })

  it('with a file beyond all measure is refused unread', async () => {
    truncateSync(join(folder, 'config.json'), 2 ** 28 + 1)
    expect(await code()).toBe('HASS_ERR_TOKENIZER_FILE')
    rmSync(join(folder, 'config.json'))
  })

  it('that is none is refused', async () => {
    const error = await loadTokenizer(join(folder, 'tokenizer.json')).catch((error: unknown) => error)
    expect(HassError.isInstance(error) && error.code).toBe('HASS_ERR_TOKENIZER_FILE')
    expect((error as Error).message).not.toContain(folder)
  })
})
