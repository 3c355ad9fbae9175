// npm run bench:warm-start -- --corpus DIR [--rows N,N] [--sequences N] [--json]
// What each part of the start without training brings: τ on held-out greedy responses, with a chain of 5 and dynamic
// trees of 8 nodes, by the rows that the regressions have seen.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { chain, dynamicTree } from '@hass-engine/draft-tree'
import { openDevice } from '@hass-engine/kernels'
import { createDraftHead, createTargetModel } from '@hass-engine/models'
import { openModel } from '@hass-engine/weights'
import { modelPath } from '../../smollm2-135m-instruct/index.js'
import {
  createDataset,
  createHeadModel,
  createWarmStart,
  identifyTarget,
  openCorpus,
  recipes,
  replayResponses,
  sumAcceptance,
} from '../dist/index.js'

const { values: options } = parseArgs({
  options: {
    corpus: { type: 'string' },
    model: { type: 'string', default: modelPath },
    rows: { type: 'string', default: '20000,100000' },
    sequences: { type: 'string', default: '24' },
    threads: { type: 'string', default: String(cpus().length) },
    json: { type: 'boolean', default: false },
  },
})
if (!options.corpus) {
  console.error('Name the folder of a corpus with --corpus; "hass corpus" makes one.')
  process.exit(2)
}

const attention = 'layers.0.self_attn.o_proj.weight'
const mlp = 'layers.0.mlp.down_proj.weight'
const parts = { 'fc alone': [attention, mlp], 'with attention': [mlp], 'with attention and MLP': [] }

const device = openDevice({ kind: 'auto', threads: Number(options.threads) })
const target = await openModel(options.model)
const corpus = await openCorpus(options.corpus, { target: await identifyTarget(target) })
const { seed, heldOutShare, batch } = recipes.embedded
const dataset = createDataset({ corpus, seed, heldOutShare, noise: 0, ...batch })
const heldOut = createDataset({ corpus, seed, heldOutShare, noise: 0, split: 'held-out' })
const sequences = [...heldOut.corpusSequences]
  .filter((index) => (corpus.sequences[index].temperature ?? 0) === 0)
  .slice(0, Number(options.sequences))
const longest = Math.max(...corpus.sequences.map(({ tokens }) => tokens.length)) + 256
const deviceTarget = await createTargetModel({ device, model: target, cacheTokens: longest })

const rows = []
for (const wanted of options.rows.split(',').map(Number)) {
  const startedAt = performance.now()
  const start = await createWarmStart({ device, target, dataset, rows: wanted })
  const seconds = (performance.now() - startedAt) / 1000
  for (const [part, silent] of Object.entries(parts)) {
    const parameters = new Map(start.parameters)
    for (const name of silent) parameters.set(name, new Float32Array(parameters.get(name).length))
    const model = createHeadModel({ target, parameters })
    const draft = await createDraftHead({ device, target: deviceTarget, model, cacheTokens: 16 * longest })
    const tau = async (policy) => {
      const { emitted, cycles } = sumAcceptance(await replayResponses({ corpus, sequences, draft, policy }))
      return emitted / cycles
    }
    const chainOf5 = await tau(chain({ depth: 5 }))
    rows.push({ rows: start.rows, seconds, part, chainOf5, treeOf8: await tau(dynamicTree({ maxNodes: 8 })) })
    draft.dispose()
  }
}
deviceTarget.dispose()
device.dispose()
if (options.json) console.log(JSON.stringify(rows))
else {
  console.log(`${cpus()[0].model}, ${options.threads} threads; ${sequences.length} held-out greedy responses\n`)
  console.log('| rows | seconds | head | τ, chain of 5 | τ, trees of 8 |\n| --- | --- | --- | --- | --- |')
  for (const { rows: seen, seconds, part, chainOf5, treeOf8 } of rows) {
    console.log(`| ${seen} | ${seconds.toFixed(0)} | ${part} | ${chainOf5.toFixed(3)} | ${treeOf8.toFixed(3)} |`)
  }
}
