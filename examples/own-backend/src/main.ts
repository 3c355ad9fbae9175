// Decodes the same prompts plainly and with draft trees, with a backend of its own, and shows that the text stays.
import { fileURLToPath } from 'node:url'
import type { TreePolicy } from '@hass-engine/core'
import { chain, drawText, dynamicTree, mergePolicies, ngram, plain } from '@hass-engine/draft-tree'
import { Speculation, type SpeculationCycle } from '@hass-engine/engine'
import { createSampler, createTargetChooser, exactMatch } from '@hass-engine/sampler'
import { loadHead, loadTarget } from './load.js'
import { createOwnDraft } from './own-draft.js'
import { createOwnTarget } from './own-target.js'
import { rankCandidates } from './rank-candidates.js'

const golden = fileURLToPath(new URL('../../../test/golden/', import.meta.url))
const { model, weights } = await loadTarget(`${golden}models/llama-tiny`)
const target = createOwnTarget(weights)
const draft = createOwnDraft(weights, await loadHead(`${golden}heads/llama-tiny-hass`, model), rankCandidates)

const wantedTokens = 48
const prompts = [
  [17, 301, 42, 8],
  [5, 5, 90, 411, 2, 33, 33],
  [256, 128, 64, 32, 16],
]
const policies: Record<string, TreePolicy> = {
  plain: plain(),
  chain: chain({ depth: 4 }),
  'n-gram': ngram(),
  dynamic: dynamicTree({ topK: 4, depth: 4, maxNodes: 24 }),
  'dynamic + n-gram': mergePolicies([dynamicTree({ topK: 4, depth: 4, maxNodes: 24 }), ngram()]),
}

interface Decoded {
  readonly texts: string[]
  readonly cycles: number
  readonly tokens: number
  readonly best: SpeculationCycle | undefined
}

async function decode(policy: TreePolicy, temperature: number, isCoupled: boolean): Promise<Decoded> {
  const speculation = new Speculation({ target, draft, policy, verifier: exactMatch() })
  const sequences = prompts.map((tokens, i) => {
    const sampler = createSampler({ temperature, seed: i })
    const choices: Parameters<Speculation['createSequence']>[0]['choices'] = (pass) =>
      createTargetChooser({ sampler, ...pass })
    return speculation.createSequence({ tokens, choices, ...(isCoupled && { coupling: sampler.rule }) })
  })
  for (const sequence of sequences) await speculation.prefill(sequence)
  let [cycles, tokens] = [0, 0]
  let best: SpeculationCycle | undefined
  const length = ({ tokens: all, promptLength }: (typeof sequences)[number]) => all.length - promptLength
  for (;;) {
    const open = sequences.filter((sequence) => length(sequence) < wantedTokens)
    if (open.length === 0) break
    for (const cycle of await speculation.cycle(open)) {
      cycles++
      tokens += cycle.emitted.length
      if (cycle.emitted.length > (best?.emitted.length ?? 1)) best = cycle
    }
  }
  const texts = sequences.map(({ tokens: all, promptLength }) =>
    all.slice(promptLength, promptLength + wantedTokens).join(' '),
  )
  for (const sequence of sequences) sequence.dispose()
  return { texts, cycles, tokens, best }
}

console.log(
  `Target ${model.config.architecture} with ${model.config.layers} layers, three prompts at once, ${wantedTokens} tokens each.\n`,
)
console.log('temperature  candidates  tree              tokens per target pass  same tokens as plain')
let isLossless = true
for (const [temperature, isCoupled] of [
  [0, false],
  [1, false],
  [1, true],
] as const) {
  let plain: Decoded | undefined
  for (const [name, policy] of Object.entries(policies)) {
    const decoded = await decode(policy, temperature, isCoupled)
    plain ??= decoded
    const isSame = decoded.texts.join() === plain.texts.join()
    isLossless &&= isSame
    const kind = isCoupled ? 'coupled' : 'plain'
    const perPass = (decoded.tokens / decoded.cycles).toFixed(2)
    console.log(
      `${String(temperature).padEnd(13)}${kind.padEnd(12)}${name.padEnd(18)}${perPass.padEnd(24)}${isSame ? 'yes' : 'NO'}`,
    )
    if (temperature === 0 && name === 'dynamic' && decoded.best) {
      const { tree, verdict } = decoded.best
      console.log(`\nIts best tree, accepted nodes marked:\n${drawText(tree, { accepted: verdict.path })}\n`)
    }
  }
}
process.exitCode = isLossless ? 0 : 1
