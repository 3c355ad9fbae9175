// npm run -s bench:speculation -- [--json | --markdown] [--datasets DIR] [--limit N] [--draft HEAD|ngram]: the engine with
// speculation as it comes, its own plain decoding, and node-llama-cpp at T=0, prompt by prompt in turns.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  availableDataSets,
  detailTable,
  findings,
  markdownReport,
  openDataSets,
  paperTable,
  reportPage,
  runBenchmark,
  summarize,
  textTable,
} from '../packages/bench/dist/index.js'
import { loadEngine } from '../packages/engine/dist/index.js'
import { modelPath } from '../packages/smollm2-135m-instruct/index.js'
import { installPeer } from './install-peer.mjs'
import { createPeerGenerator } from './peer-generator.mjs'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    report: { type: 'string' },
    datasets: { type: 'string' },
    limit: { type: 'string' },
    'max-tokens': { type: 'string', default: '128' },
    temperatures: { type: 'string', default: '0,1' },
    draft: { type: 'string' },
    threads: { type: 'string', default: '2' },
    results: { type: 'string' },
    'no-peer': { type: 'boolean', default: false },
  },
})
const names = { plain: 'plain', speculative: 'HASS engine', peer: 'node-llama-cpp' }
const threads = Number(values.threads)
const temperatures = values.temperatures.split(',').map(Number)
const place = values.datasets === undefined ? {} : { directory: values.datasets }
const dataSets = await openDataSets(await availableDataSets(place), place)

// Kept prefixes would spare a prompt's second reader what the first one had to read.
const engine = await loadEngine({
  threads,
  keptPrefixes: 0,
  ...(values.draft !== undefined && { draft: values.draft }),
})
if (engine.policy.name === 'plain') {
  console.error('There is no head to draft with: nothing will be sped up. --draft names one, or ngram.')
}
const peer = temperatures.includes(0) && !values['no-peer'] ? await openPeer() : undefined

const results = await runBenchmark({
  subjects: [
    { name: names.plain, generator: engine, options: () => ({ speculate: false }) },
    {
      name: names.speculative,
      generator: engine,
      settings: { draft: values.draft ?? 'default', policy: engine.policy.name },
    },
    ...(peer ? [{ name: names.peer, generator: peer, temperatures: [0] }] : []),
  ],
  dataSets,
  temperatures,
  maxTokens: Number(values['max-tokens']),
  facts: { model: 'SmolLM2-135M-Instruct Q4_1', threads, policy: engine.policy.name, costs: engine.costs },
  onProgress: say,
  ...(values.limit !== undefined && { limit: Number(values.limit) }),
  ...(values.results !== undefined && { results: values.results }),
})
await engine.dispose()
await peer?.dispose()
const summary = summarize(results)
if (values.report !== undefined) {
  writeFileSync(values.report, reportPage(summary, engine.costs ? { costs: engine.costs } : {}))
}
if (values.json) console.log(JSON.stringify(figures(summary), null, 2))
else if (values.markdown)
  console.log(markdownReport(summary, { command: 'npm run -s bench:speculation -- --markdown' }))
else console.log([paperTable(summary), detailTable(summary)].map(textTable).concat(findings(summary)).join('\n\n'))

async function openPeer() {
  const failure = installPeer()
  if (failure) {
    console.error(`${failure} It is left out.`)
    return undefined
  }
  return createPeerGenerator({ modelPath, tokenizer: engine.tokenizer, threads, contextTokens: engine.maxContext })
}

function say({ done, total, dataSet, temperature, remainingMs }) {
  const left = remainingMs === undefined ? '' : `, ${Math.ceil(remainingMs / 60_000)} min left`
  process.stderr.write(
    `\r\u001b[K${done}/${total} prompts, T=${temperature} ${dataSet}${left}${done === total ? '\n' : ''}`,
  )
}

/** What the tables say, by data set and temperature; rates are those of decoding. */
function figures({ settings, environments, cells, means }) {
  const of = (list, subject, temperature, dataSet) =>
    list.find((one) => one.subject === subject && one.temperature === temperature && one.dataSet === dataSet)
  const row = (list, { temperature, dataSet }) => {
    const [plain, ours, other] = Object.values(names).map((subject) => of(list, subject, temperature, dataSet))
    return {
      tau: ours.tauPerQuestion.value,
      tauPerCycle: ours.tauPerCycle.value,
      tokensPerSecond: ours.throughput.value,
      plainTokensPerSecond: plain.throughput.value,
      speedup: ours.speedup.value,
      speedupInterval: [ours.speedup.low, ours.speedup.high],
      ...(other && {
        peerTokensPerSecond: other.throughput.value,
        speedupOverPeer: ours.throughput.value / other.throughput.value,
      }),
    }
  }
  return {
    dataSets: cells
      .filter(({ subject }) => subject === names.speculative)
      .map((cell) => ({
        dataSet: cell.dataSet,
        temperature: cell.temperature,
        prompts: cell.prompts,
        ...row(cells, cell),
        identical: cell.identical.prompts === cell.prompts && cell.failures.length === 0,
        identicalPrompts: cell.identical.prompts,
        outputSha256: {
          plain: of(cells, names.plain, cell.temperature, cell.dataSet).outputSha256,
          speculative: cell.outputSha256,
        },
        loopingShare: cell.loopingShare,
        failures: cell.failures,
      })),
    means: means
      .filter(({ subject }) => subject === names.speculative)
      .map((mean) => ({ temperature: mean.temperature, ...row(means, mean) })),
    settings,
    environments,
  }
}
