import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gpus, models } from './roofline.mjs'

/** What `npm run bench:gpu -- --record` wrote, for GPUs that somebody had. */
const path = join(fileURLToPath(new URL('../../../', import.meta.url)), 'docs', 'results', 'cuda-measured.json')

const modelNames = { smollm2: 'SmolLM2-135M', llama3: 'LLaMA-3-8B' }

/** Medians of measured passes, each with its ratio to the predicted time; nothing where nothing has been measured. */
export function formatMeasured(predictions) {
  if (!existsSync(path)) return undefined
  const runs = JSON.parse(readFileSync(path, 'utf8'))
  const rowCounts = Object.keys(runs[0].ms)
  const lines = runs.map(({ gpu, date, model, weights, ms }) => {
    const sheet = Object.entries(gpus).find(([name]) => gpu.includes(name))?.[1]
    const cells = rowCounts.map((rows) => {
      const { min, median, max } = ms[rows]
      const times = [min, median, max].map((time) => time.toFixed(2)).join(' / ')
      if (!sheet) return times
      const predicted = predictions.passMs(models[modelNames[model]], weights, Number(rows), sheet)
      return `${times} (${(median / predicted).toFixed(2)})`
    })
    return `| ${[gpu, date, modelNames[model], weights, ...cells].join(' | ')} |`
  })
  const head = ['GPU', 'date', 'model', 'weights', ...rowCounts.map((rows) => `T(${rows})`)]
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n')
}
