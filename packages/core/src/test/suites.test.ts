import { describe, expect, it } from 'vitest'
import { createDraftTree } from '../draft-tree.js'
import type { TreePolicy } from '../drafting.js'
import { InvalidArgumentError } from '../errors.js'
import type { GenerateOptions, GenerationEvent, GenerationResult, TextGenerator } from '../generation.js'
import type { TargetModel } from '../model.js'
import { checkNumber, checkOptionKeys } from '../options.js'
import type { Verifier } from '../verification.js'
import {
  type ContractCase,
  createScriptedTarget,
  tableLogits,
  targetModelCases,
  textGeneratorCases,
  treePolicyCases,
  verifierCases,
} from './index.js'

const vocabSize = 6
const table = Array.from({ length: vocabSize }, (_, i) =>
  Array.from({ length: vocabSize }, (_, j) => ((i * 7 + j * 3) % 5) - 2),
)

/** Keeps a branch of one: the best candidate, two levels deep. */
const twoSteps: TreePolicy = {
  name: 'two-steps',
  width: 2,
  maxNodes: 2,
  start({ root, maxDepth = Infinity }) {
    const tokens = [root]
    const logProbs = [0]
    return {
      expand(candidates) {
        if (tokens.length > Math.min(2, maxDepth)) return { tokens: new Uint32Array(), parents: new Uint32Array() }
        tokens.push(candidates.tokens[0]!)
        logProbs.push(logProbs.at(-1)! + Math.max(-20, Math.min(0, candidates.logProbs[0]! || -20)))
        return { tokens: Uint32Array.of(tokens.at(-1)!), parents: Uint32Array.of(tokens.length - 2) }
      },
      finish: () =>
        createDraftTree(
          tokens,
          tokens.map((_, node) => node - 1),
          logProbs,
        ),
    }
  },
}

const exactMatch: Verifier = {
  name: 'exact-match',
  fidelity: 'lossless',
  async verify({ tree, target }) {
    const path = [0]
    for (;;) {
      const node = path.at(-1)!
      const choice = await target.choose(
        node,
        path.map((at) => tree.tokens[at]!),
      )
      const child = tree.tokens.findIndex((token, at) => tree.parents[at] === node && token === choice)
      // Siblings may share a token: the one whose subtree goes on is as good as the first.
      if (child === -1) return { path: Uint32Array.from(path), bonusToken: choice }
      path.push(child)
    }
  },
}

/** One word is one token, recited from the start whatever the prompt. */
function reciting(words: readonly string[]): TextGenerator {
  const known = ['prompt', 'messages', 'tokens', 'maxTokens', 'temperature', 'seed', 'signal']
  async function* recite(options: GenerateOptions): AsyncGenerator<GenerationEvent, void> {
    checkOptionKeys(options, known, 'generateText')
    checkNumber(options.temperature ?? 0, 'temperature', { min: 0 })
    if (options.prompt === undefined) throw new InvalidArgumentError('One of prompt, messages and tokens is needed.')
    const said = words.slice(0, options.maxTokens)
    for (const [i, text] of said.entries()) {
      options.signal?.throwIfAborted()
      yield { type: 'text-delta', text, tokens: [i] }
    }
    const usage = { promptTokens: 1, completionTokens: said.length }
    const result: GenerationResult = {
      text: said.join(''),
      tokens: Uint32Array.from(said.keys()),
      finishReason: said.length < words.length ? 'length' : 'stop',
      usage,
      timings: { totalMs: 0 },
    }
    yield { type: 'finish', result }
  }
  const streamText: TextGenerator['streamText'] = (options) => {
    let settle!: { resolve(result: GenerationResult): void; reject(error: unknown): void }
    const result = new Promise<GenerationResult>((resolve, reject) => {
      settle = { resolve, reject }
    })
    result.catch(() => {})
    const events = (async function* () {
      try {
        for await (const event of recite(options)) {
          if (event.type === 'finish') settle.resolve(event.result)
          yield event
        }
      } catch (error) {
        settle.reject(error)
        throw error
      }
    })()
    // The result is wanted even if nobody reads the events of a request that is refused at once.
    if (options.signal?.aborted) settle.reject(options.signal.reason)
    return {
      result,
      textStream: (async function* () {
        for await (const event of events) if (event.type === 'text-delta') yield event.text
      })(),
      [Symbol.asyncIterator]: () => events,
      [Symbol.asyncDispose]: async () => void (await events.return()),
    }
  }
  return {
    streamText,
    async generateText(options) {
      const stream = streamText(options)
      for await (const _ of stream);
      return stream.result
    },
  }
}

function scripted(): TargetModel {
  return createScriptedTarget({ vocabSize, next: tableLogits(table) })
}

async function broken(cases: readonly ContractCase[]): Promise<string[]> {
  const names: string[] = []
  for (const { name, run } of cases) {
    try {
      await run()
    } catch {
      names.push(name)
    }
  }
  return names
}

describe('suites pass for implementations that keep the contracts', () => {
  const suites: Record<string, ContractCase[]> = {
    'tree policy': treePolicyCases(() => twoSteps),
    verifier: verifierCases(() => exactMatch),
    'target model': targetModelCases(scripted),
    'text generator': textGeneratorCases(() => reciting(['In ', 'a ', 'hole ', 'in ', 'the ', 'ground']), {
      prompt: 'Go on',
      maxTokens: 5,
    }),
  }
  for (const [suite, cases] of Object.entries(suites)) {
    for (const { name, run } of cases) it(`${suite}: ${name}`, run)
  }
})

describe('suites bite', () => {
  it('catches a policy that passes maxDepth, one that throws on NaN, one with state across sequences', async () => {
    const deep: TreePolicy = { ...twoSteps, start: ({ root }) => twoSteps.start({ root }) }
    expect(await broken(treePolicyCases(() => deep))).toEqual(['never passes maxDepth'])
    const fragile: TreePolicy = {
      ...twoSteps,
      start(cycle) {
        const builder = twoSteps.start(cycle)
        const expand: typeof builder.expand = (candidates) => {
          if (candidates.logProbs.some(Number.isNaN)) throw new Error('NaN')
          return builder.expand(candidates)
        }
        return { ...builder, expand }
      },
    }
    expect(await broken(treePolicyCases(() => fragile))).toContain('survives nan candidates')
    const shared = () => {
      const trees: ReturnType<TreePolicy['start']>[] = []
      return { ...twoSteps, start: (cycle) => (trees[0] ??= twoSteps.start(cycle)) } satisfies TreePolicy
    }
    expect(await broken(treePolicyCases(shared))).toContain('runs cycles of several sequences side by side')
  })

  it('catches a verifier that ignores the target, and one that swallows its failure', async () => {
    const deaf: Verifier = { ...exactMatch, verify: async () => ({ path: Uint32Array.of(0), bonusToken: 5 }) }
    expect(await broken(verifierCases(() => deaf))).toContain('accepts the whole path that a certain target would take')
    const swallowing: Verifier = {
      ...exactMatch,
      verify: (input) => exactMatch.verify(input).catch(() => ({ path: Uint32Array.of(0), bonusToken: 0 })),
    }
    expect(await broken(verifierCases(() => swallowing))).toEqual(['passes a failure of the target on'])
  })

  it('catches a model whose rows depend on their batch, and one that commits too much', async () => {
    const batchDependent = (): TargetModel => {
      const model = scripted()
      return {
        ...model,
        forward: async (steps, options) => {
          const outputs = await model.forward(steps, options)
          const rows = steps.reduce((sum, step) => sum + step.tokens.length, 0)
          const shift = (row: Float32Array) => row.map((logit) => logit + rows * 1e-6)
          return outputs.map((output) => ({
            ...output,
            logits: { ...output.logits, read: async (row: number) => shift(await output.logits.read(row)) },
          }))
        },
      }
    }
    expect(await broken(targetModelCases(batchDependent))).toContain(
      'gives each sequence of a batch the bits that it has alone',
    )
    const forgetful = (): TargetModel => {
      const model = scripted()
      const createSequence = () => {
        const sequence = model.createSequence()
        const commit = sequence.commit.bind(sequence)
        return Object.assign(sequence, { commit: (rows: ArrayLike<number>) => commit(Array.from(rows).slice(0, 1)) })
      }
      return { ...model, createSequence }
    }
    expect(await broken(targetModelCases(forgetful))).toContain('keeps exactly the committed rows, in order')
  })

  it('catches a generator whose stream differs from its text, and one that takes any option', async () => {
    const good = reciting(['a ', 'b ', 'c ', 'd '])
    const options = { prompt: 'x', maxTokens: 3 }
    const shouting: TextGenerator = {
      ...good,
      generateText: async (request) => {
        const result = await good.generateText(request)
        return { ...result, text: result.text.toUpperCase() }
      },
    }
    expect(await broken(textGeneratorCases(() => shouting, options))).toContain(
      'streams the text that it generates at once',
    )
    const lax: TextGenerator = {
      streamText: ({ prompt, maxTokens, signal }) =>
        good.streamText({ ...(prompt && { prompt }), ...(maxTokens && { maxTokens }), ...(signal && { signal }) }),
      generateText: ({ prompt, maxTokens, signal }) =>
        good.generateText({ ...(prompt && { prompt }), ...(maxTokens && { maxTokens }), ...(signal && { signal }) }),
    }
    expect(await broken(textGeneratorCases(() => lax, options))).toEqual([
      'refuses options that it does not know',
      'refuses a temperature that is no number, and a request for nothing',
    ])
  })
})
