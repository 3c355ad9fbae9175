import { TokenizerError } from './errors.js'
import { FieldReader, unsupported, wrongType } from './json-fields.js'
import { isKnownPattern } from './patterns.js'

/**
 * Copies of the parts of a tokenizer.json, field by field from a list of known ones.
 *
 * The native binding aborts the whole process on some contradictions (a template naming an unknown token, a
 * character map it cannot read); it therefore never sees a model file's bytes, only what is written here.
 */
export type Component = Readonly<Record<string, unknown>>

const maxDepth = 4
const maxSequence = 16
/** A chain of replacements may lengthen text by this factor at most. */
const maxGrowth = 64
const maxTemplateTokens = 16

export function readNormalizer(value: unknown): Component | null {
  const growth = { factor: 1 }
  return readOptional(value, 'normalizer', (fields, depth) => normalizer(fields, depth, growth))
}

export function readPreTokenizer(value: unknown): Component | null {
  return readOptional(value, 'pre_tokenizer', preTokenizer)
}

/** @param isToken whether an id belongs to the vocabulary */
export function readPostProcessor(value: unknown, isToken: (id: number) => boolean): Component | null {
  return readOptional(value, 'post_processor', (fields, depth) => postProcessor(fields, depth, isToken))
}

function readOptional(
  value: unknown,
  path: string,
  read: (fields: FieldReader, depth: number) => Component,
): Component | null {
  return value === null || value === undefined ? null : read(FieldReader.of(value, path), 0)
}

function sequence(
  fields: FieldReader,
  key: string,
  depth: number,
  read: (item: FieldReader, depth: number) => Component,
): Component {
  const items = fields.array(key)
  const path = `${fields.path}.${key}`
  if (depth >= maxDepth || items.length > maxSequence) {
    throw new TokenizerError(
      'format',
      `The tokenizer field ${path} holds ${items.length} parts at depth ${depth + 1}; at most ${maxSequence} parts and ${maxDepth} levels are read.`,
      { field: path, parts: items.length, depth },
    )
  }
  return {
    type: 'Sequence',
    [key]: items.map((item, index) => read(FieldReader.of(item, `${path}[${index}]`), depth + 1)),
  }
}

const plainNormalizers = ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase']

function normalizer(fields: FieldReader, depth: number, growth: { factor: number }): Component {
  const type = fields.string('type')
  if (plainNormalizers.includes(type)) return { type }
  switch (type) {
    case 'Sequence':
      return sequence(fields, 'normalizers', depth, (item, below) => normalizer(item, below, growth))
    case 'Prepend':
      return { type, prepend: shortString(fields, 'prepend') }
    case 'Replace': {
      const pattern = literalPattern(fields)
      const content = shortString(fields, 'content')
      growth.factor *= Math.max(1, content.length / pattern.length)
      if (growth.factor > maxGrowth) {
        throw new TokenizerError(
          'format',
          `The tokenizer's replacements lengthen text up to ${growth.factor} times, at most ${maxGrowth} times is allowed.`,
          { field: fields.path, growth: growth.factor },
        )
      }
      return { type, pattern: { String: pattern }, content }
    }
    default:
      throw unsupported(fields.path, type, [...plainNormalizers, 'Sequence', 'Prepend', 'Replace'])
  }
}

function shortString(fields: FieldReader, key: string): string {
  const value = fields.string(key)
  if (value.length > 64) throw wrongType(`${fields.path}.${key}`, value, 'a string of at most 64 characters')
  return value
}

function literalPattern(fields: FieldReader): string {
  const pattern = fields.fields('pattern')
  if (pattern.has('Regex')) throw unknownPattern(pattern.path, pattern.string('Regex'))
  const literal = shortString(pattern, 'String')
  if (literal === '') throw wrongType(`${pattern.path}.String`, literal, 'a string that is not empty')
  return literal
}

function unknownPattern(path: string, pattern: string): TokenizerError {
  return new TokenizerError(
    'regex',
    `The tokenizer's ${path} has the pattern ${JSON.stringify(pattern.slice(0, 80))}, which is none of the known ones; patterns from model files are never run.`,
    { field: path, pattern: pattern.slice(0, 200) },
  )
}

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']

function preTokenizer(fields: FieldReader, depth: number): Component {
  const type = fields.string('type')
  switch (type) {
    case 'Sequence':
      return sequence(fields, 'pretokenizers', depth, preTokenizer)
    case 'ByteLevel':
      return byteLevel(fields)
    case 'Digits':
      return { type, individual_digits: fields.boolean('individual_digits', false) }
    case 'Split': {
      const pattern = fields.fields('pattern')
      const behavior = fields.string('behavior')
      if (!behaviors.includes(behavior)) throw unsupported(`${fields.path}.behavior`, behavior, behaviors)
      const invert = fields.boolean('invert', false)
      if (!pattern.has('Regex')) return { type, pattern: { String: literalPattern(fields) }, behavior, invert }
      const regex = pattern.string('Regex')
      if (!isKnownPattern(regex)) throw unknownPattern(pattern.path, regex)
      return { type, pattern: { Regex: regex }, behavior, invert }
    }
    case 'Metaspace': {
      const replacement = fields.string('replacement', '▁')
      if ([...replacement].length !== 1) throw wrongType(`${fields.path}.replacement`, replacement, 'one character')
      const scheme = fields.string('prepend_scheme', fields.boolean('add_prefix_space', true) ? 'always' : 'never')
      const schemes = ['first', 'always', 'never']
      if (!schemes.includes(scheme)) throw unsupported(`${fields.path}.prepend_scheme`, scheme, schemes)
      return { type, replacement, prepend_scheme: scheme, split: fields.boolean('split', true) }
    }
    default:
      throw unsupported(fields.path, type, ['Sequence', 'ByteLevel', 'Digits', 'Split', 'Metaspace'])
  }
}

function byteLevel(fields: FieldReader): Component {
  return {
    type: 'ByteLevel',
    add_prefix_space: fields.boolean('add_prefix_space', true),
    trim_offsets: fields.boolean('trim_offsets', true),
    use_regex: fields.boolean('use_regex', true),
  }
}

function postProcessor(fields: FieldReader, depth: number, isToken: (id: number) => boolean): Component {
  const type = fields.string('type')
  switch (type) {
    case 'Sequence':
      return sequence(fields, 'processors', depth, (item, below) => postProcessor(item, below, isToken))
    case 'ByteLevel':
      return byteLevel(fields)
    case 'TemplateProcessing':
      return templateProcessing(fields, isToken)
    default:
      throw unsupported(fields.path, type, ['Sequence', 'ByteLevel', 'TemplateProcessing'])
  }
}

/** Only the template of one text is kept: pairs of texts are never encoded. */
function templateProcessing(fields: FieldReader, isToken: (id: number) => boolean): Component {
  const special = fields.has('special_tokens') ? fields.fields('special_tokens') : undefined
  const specialTokens = new Map<string, Component>()
  let sequences = 0
  const single = fields.array('single').map((value, index) => {
    const piece = FieldReader.of(value, `${fields.path}.single[${index}]`)
    if (piece.has('Sequence')) {
      sequences++
      if (piece.fields('Sequence').string('id') !== 'A') throw wrongType(piece.path, value, 'the sequence A')
      return { Sequence: { id: 'A', type_id: 0 } }
    }
    const id = piece.fields('SpecialToken').string('id')
    specialTokens.set(id, specialToken(id, special, fields.path, isToken))
    return { SpecialToken: { id, type_id: 0 } }
  })
  if (sequences !== 1 || single.length > maxTemplateTokens) {
    throw wrongType(`${fields.path}.single`, single, `the sequence A once among at most ${maxTemplateTokens} pieces`)
  }
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: Object.fromEntries(specialTokens),
  }
}

function specialToken(
  id: string,
  special: FieldReader | undefined,
  path: string,
  isToken: (id: number) => boolean,
): Component {
  if (!special?.has(id)) throw wrongType(`${path}.special_tokens`, undefined, `an entry for ${JSON.stringify(id)}`)
  const entry = special.fields(id)
  const ids = entry.array('ids')
  const tokens = entry.array('tokens')
  const areValid =
    ids.length === 1 && tokens.length === 1 && typeof tokens[0] === 'string' && typeof ids[0] === 'number'
  if (!areValid) throw wrongType(entry.path, ids, 'one id and its token')
  if (!isToken(ids[0] as number)) {
    throw new TokenizerError('vocab', `${entry.path} has the id ${ids[0]}, which is not in the vocabulary.`, {
      field: entry.path,
      id: ids[0],
    })
  }
  return { id, ids: [ids[0]], tokens: [tokens[0]] }
}
