/**
 * The pre-tokenizer patterns that are run, one by one looked through for linear time. A pattern from a model file is
 * compared with these, character for character, and never run otherwise: `(a+)+$` in a file must not hang a server.
 */
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const contractionsSpelled = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
const spaces = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'

const words = (contraction: string, number: string) =>
  `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${number}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${spaces}`
const casedWords = (contraction: string, number: string, first: string, rest: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${contraction}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${contraction}|` +
  `${first}${number}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${rest}`

export const patterns = {
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  llama3: words(contractions, '\\p{N}{1,3}'),
  qwen2: words(contractions, '\\p{N}'),
  gpt4o: casedWords(`${contractions}?`, '\\p{N}{1,3}', '', spaces),
  tekken: casedWords('', '\\p{N}', '', spaces),
  digitTriples: '\\p{N}{1,3}',
  digit: '\\p{N}',
  digits: '\\p{N}+',
  asciiDigitTriple: '[0-9][0-9][0-9]',
  cjk: '[一-龥\u3040-ゟ゠-ヿ]+',
  deepseekV3:
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|' +
    ' ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+',
  punctuation: '[\\p{P}\\$\\+<=>\\^~\\|]+',
  punctuationBacktick: '[\\p{P}\\$\\+<=>\\^~\\|`]+',
  gpt2WithoutSpaces: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)",
} as const

const knownPatterns: ReadonlySet<string> = new Set([
  ...Object.values(patterns),
  words(contractionsSpelled, '\\p{N}{1,3}'),
  words(contractionsSpelled, '\\p{N}'),
])

export function isKnownPattern(pattern: string): boolean {
  return knownPatterns.has(pattern)
}

/** One way to cut text before BPE, as GGUF's `tokenizer.ggml.pre` names it. */
export interface GgufPreTokenizer {
  /** Applied one after the other, each to the pieces of the one before. */
  readonly splits: readonly string[]
  /** A piece that is a token is taken as it is, without merges. */
  readonly ignoreMerges?: boolean
  /** Text is composed (NFC) first, as in the model's own tokenizer. */
  readonly isComposed?: boolean
  /** The default of `tokenizer.ggml.add_bos_token`. */
  readonly addBos?: boolean
}

const gpt2: GgufPreTokenizer = { splits: [patterns.gpt2] }
const digitsThenGpt2: GgufPreTokenizer = { splits: [patterns.digit, patterns.gpt2] }
const llama3: GgufPreTokenizer = { splits: [patterns.llama3], ignoreMerges: true, addBos: true }
const qwen2: GgufPreTokenizer = { splits: [patterns.qwen2], isComposed: true }
const gpt4o: GgufPreTokenizer = { splits: [patterns.gpt4o] }
const tekken: GgufPreTokenizer = { splits: [patterns.tekken], ignoreMerges: true, addBos: true }

/** `tokenizer.ggml.pre` → pre-tokenizer, with the aliases that converters write. */
export const ggufPreTokenizers: ReadonlyMap<string, GgufPreTokenizer> = new Map([
  [
    'default',
    {
      splits: [patterns.punctuation, patterns.gpt2WithoutSpaces, patterns.digits, patterns.asciiDigitTriple],
    },
  ],
  ...alias(gpt2, 'gpt-2', 'gpt2', 'mpt', 'olmo', 'jais', 'phi-2'),
  ...alias(digitsThenGpt2, 'smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'),
  ...alias(llama3, 'llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'lfm2'),
  ...alias(qwen2, 'qwen2', 'deepseek-r1-qwen'),
  ...alias({ splits: [patterns.qwen2] }, 'stablelm2', 'hunyuan'),
  ...alias({ splits: [patterns.digitTriples, patterns.cjk, patterns.deepseekV3] }, 'deepseek-v3'),
  ...alias({ splits: [patterns.punctuationBacktick, patterns.gpt2, patterns.asciiDigitTriple] }, 'falcon'),
  ...alias(gpt4o, 'gpt-4o', 'llama4'),
  ...alias(tekken, 'tekken'),
])

function alias(pre: GgufPreTokenizer, ...names: string[]): [string, GgufPreTokenizer][] {
  return names.map((name) => [name, pre])
}
