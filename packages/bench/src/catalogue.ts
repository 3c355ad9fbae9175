/** A data set that is known by name. */
export interface CatalogueEntry {
  readonly name: string
  /** What tables print. A stand-in never bears the name of what it stands for. */
  readonly title: string
  readonly licence: string
  /** Whether this package carries it; the others are fetched, or read from a folder of one's own. */
  readonly isPackaged: boolean
  /** The data set that this one is used for where that one may not be carried. */
  readonly standsInFor?: string
  readonly source?: FetchSource
}

export interface FetchSource {
  readonly url: string
  /** SHA-256 over the prompts' turns, `JSON.stringify(turns)` and a line break each, hexadecimal. */
  readonly turnsSha256: string
}

const eagle = 'https://raw.githubusercontent.com/SafeAILab/EAGLE/cb7e084/eagle/data'

/** The six data sets of the papers, and two stand-ins with open licences. */
export const catalogue: readonly CatalogueEntry[] = [
  { name: 'mt-bench', title: 'MT-bench', licence: 'Apache-2.0', isPackaged: true },
  { name: 'humaneval', title: 'HumanEval', licence: 'MIT', isPackaged: true },
  { name: 'gsm8k', title: 'GSM8K', licence: 'MIT', isPackaged: true },
  {
    name: 'alpaca',
    title: 'Alpaca',
    licence: 'CC-BY-NC-4.0: not for commercial use',
    isPackaged: false,
    source: {
      url: `${eagle}/alpaca/question.jsonl`,
      turnsSha256: '610e3866d7c5cfaadc6130b4489e6277a631b3f111b9342097d8a854bdf63540',
    },
  },
  {
    name: 'natural-questions',
    title: 'QA',
    licence: 'CC-BY-SA-3.0: share alike',
    isPackaged: false,
    source: {
      url: `${eagle}/qa/question.jsonl`,
      turnsSha256: '5335349bb70527913f8194c63dbccd5ab186817ca565d726749d20e1a5641049',
    },
  },
  {
    name: 'cnn-dailymail',
    title: 'Summarization',
    licence: 'articles © CNN and © Daily Mail: for evaluation only',
    isPackaged: false,
    source: {
      url: `${eagle}/sum/question.jsonl`,
      turnsSha256: '49ef8db62527dbb4a578a40472af14aadf465d6da48924f84b3ca0321fb9a937',
    },
  },
  {
    name: 'instructions-open',
    title: 'Instructions (open)',
    licence: 'Apache-2.0',
    isPackaged: true,
    standsInFor: 'alpaca',
  },
  {
    name: 'summarization-open',
    title: 'Summaries (open)',
    licence: 'public domain, Apache-2.0 and MIT',
    isPackaged: true,
    standsInFor: 'cnn-dailymail',
  },
]

export function catalogueEntry(name: string): CatalogueEntry | undefined {
  return catalogue.find((entry) => entry.name === name)
}
