import { checkNumber, checkOptionKeys } from '@hass-engine/core'
import type { ChatTemplateSources } from './chat.js'
import { readDefinition } from './definition.js'
import { TokenizerError } from './errors.js'
import { FieldReader, isObject, wrongType } from './json-fields.js'
import type { TemplateLimits } from './template-interpreter.js'
import { Tokenizer } from './tokenizer.js'
import type { Vocabulary } from './vocabulary.js'

/** What the caller knows besides the tokenizer's own data. */
export interface TokenizerOptions {
  /** Takes the place of the model's own chat template (Jinja). */
  readonly chatTemplate?: string
  /** Rows of the model's embedding: a larger vocabulary is refused, ids beyond a smaller one decode to nothing. */
  readonly embeddingRows?: number
  readonly templateLimits?: TemplateLimits
}

export const tokenizerOptionKeys = ['chatTemplate', 'embeddingRows', 'templateLimits']

/** Parsed files of a model folder. */
export interface TokenizerSource extends TokenizerOptions {
  /** tokenizer.json */
  readonly tokenizer: unknown
  /** tokenizer_config.json: names of special tokens, chat template. */
  readonly tokenizerConfig?: unknown
  /** generation_config.json or config.json: `eos_token_id`, one or several. */
  readonly generationConfig?: unknown
}

/**
 * Builds a tokenizer from the parsed content of its files.
 *
 * @throws TokenizerError `HASS_ERR_TOKENIZER_…`
 */
export function createTokenizer(source: TokenizerSource): Tokenizer {
  checkOptionKeys(
    source,
    ['tokenizer', 'tokenizerConfig', 'generationConfig', ...tokenizerOptionKeys],
    'createTokenizer',
  )
  checkTokenizerOptions(source)
  const definition = readDefinition(source.tokenizer)
  const config = FieldReader.of(source.tokenizerConfig ?? {}, 'tokenizer_config')
  return new Tokenizer({
    definition,
    chatTemplates: chatTemplates(source.chatTemplate, config),
    specialTokens: specialTokens(config, definition.vocabulary),
    endIds: endIds(FieldReader.of(source.generationConfig ?? {}, 'generation_config')),
    embeddingRows: source.embeddingRows,
    templateLimits: source.templateLimits,
  })
}

export function checkTokenizerOptions(options: TokenizerOptions): void {
  if (options.embeddingRows !== undefined) {
    checkNumber(options.embeddingRows, 'embeddingRows', { min: 1, max: 2 ** 32 - 1, isInteger: true })
  }
  const { templateLimits = {} } = options
  checkOptionKeys(templateLimits, ['maxSteps', 'maxLength', 'maxDepth'], 'templateLimits')
  for (const [name, value] of Object.entries(templateLimits)) {
    // Deeper nesting would meet the engine's own stack first.
    checkNumber(value, name, { min: 1, max: name === 'maxDepth' ? 1000 : 2 ** 29, isInteger: name !== 'maxSteps' })
  }
}

function chatTemplates(own: string | undefined, config: FieldReader): ChatTemplateSources {
  if (own !== undefined) return new Map([['default', own]])
  const value = config.value('chat_template')
  if (value === undefined) return new Map()
  if (!Array.isArray(value)) return new Map([['default', config.string('chat_template')]])
  return new Map(
    value.map((item, index) => {
      const entry = FieldReader.of(item, `tokenizer_config.chat_template[${index}]`)
      return [entry.string('name'), entry.string('template')]
    }),
  )
}

function specialTokens(config: FieldReader, vocabulary: Vocabulary): Record<string, number> {
  const found: Record<string, number> = {}
  for (const name of ['bos', 'eos', 'pad', 'unk']) {
    const value = config.value(`${name}_token`)
    if (value === undefined) continue
    const text = isObject(value)
      ? FieldReader.of(value, `tokenizer_config.${name}_token`).string('content')
      : config.string(`${name}_token`)
    const id = vocabulary.id(text)
    if (id !== undefined) {
      found[name] = id
    } else if (name === 'bos' || name === 'eos') {
      throw new TokenizerError('vocab', `The ${name} token ${JSON.stringify(text)} is not in the vocabulary.`, {
        token: text,
      })
    }
  }
  return found
}

function endIds(config: FieldReader): number[] {
  const value = config.value('eos_token_id')
  if (value === undefined) return []
  const ids: unknown[] = Array.isArray(value) ? value : [value]
  const areIds = ids.length <= 64 && ids.every((id) => Number.isInteger(id))
  if (!areIds) throw wrongType('generation_config.eos_token_id', value, 'an integer or a list of at most 64')
  return ids as number[]
}
