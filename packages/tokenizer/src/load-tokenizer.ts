import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { checkOptionKeys } from '@hass-engine/core'
import { createTokenizer, type TokenizerOptions, tokenizerOptionKeys } from './create-tokenizer.js'
import { TokenizerError } from './errors.js'
import { FieldReader } from './json-fields.js'
import type { Tokenizer } from './tokenizer.js'

/** The largest known tokenizer.json has 33 MB. */
const maxFileSize = 2 ** 28

/**
 * Reads a tokenizer from a model folder: tokenizer.json, and where they exist tokenizer_config.json,
 * chat_template.jinja, chat_template.json, generation_config.json and config.json.
 *
 * @throws TokenizerError `HASS_ERR_TOKENIZER_FILE` for a missing, oversized or unreadable file,
 * `HASS_ERR_TOKENIZER_…` for what is in it
 */
export async function loadTokenizer(folder: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
  checkOptionKeys(options, tokenizerOptionKeys, 'loadTokenizer')
  const [tokenizer, tokenizerConfig, generationConfig, config, jinja, templateJson] = await Promise.all([
    readJson(folder, 'tokenizer.json'),
    readJson(folder, 'tokenizer_config.json'),
    readJson(folder, 'generation_config.json'),
    readJson(folder, 'config.json'),
    readText(folder, 'chat_template.jinja'),
    readJson(folder, 'chat_template.json'),
  ])
  if (tokenizer === undefined) {
    throw new TokenizerError(
      'file',
      'The folder has no tokenizer.json; give a model folder in the Hugging Face layout.',
      {
        file: 'tokenizer.json',
      },
    )
  }
  const chatTemplate =
    options.chatTemplate ??
    jinja ??
    (templateJson === undefined
      ? undefined
      : FieldReader.of(templateJson, 'chat_template.json').string('chat_template'))
  return createTokenizer({
    ...options,
    tokenizer,
    tokenizerConfig: tokenizerConfig ?? {},
    generationConfig: generationConfig ?? config ?? {},
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  })
}

async function readJson(folder: string, name: string): Promise<unknown> {
  const text = await readText(folder, name)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TokenizerError('file', `${name} is not valid JSON.`, { file: name }, { cause })
  }
}

/** The file's text; undefined if there is no such file. */
async function readText(folder: string, name: string): Promise<string | undefined> {
  try {
    await using file = await open(join(folder, name))
    const { size } = await file.stat()
    if (size > maxFileSize) {
      throw new TokenizerError('file', `${name} has ${size} bytes, at most ${maxFileSize} are read.`, {
        file: name,
        size,
        maxFileSize,
      })
    }
    return await file.readFile('utf8')
  } catch (cause) {
    if (cause instanceof TokenizerError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new TokenizerError('file', `${name} cannot be read (${code}).`, { file: name }, { cause })
  }
}
