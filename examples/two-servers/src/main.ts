import assert from 'node:assert/strict'
import { createClient } from '@hass-engine/client'
import type { TextGenerator } from '@hass-engine/core'
import { loadEngine } from '@hass-engine/engine'
import { standIn } from './stand-in.js'

const prompts = [
  'One, two, three, one, two, three, one, two,',
  'The red planet is Mars. The blue planet is Earth. The red planet is',
  'def add(a, b):\n    return a + b\n\ndef add_three(a, b, c):\n',
]

interface Run {
  readonly texts: string[]
  tokens: number
  ms: number
  verified: number
}

/** One prompt to each server in turn, so that a busy machine slows down both. */
async function compare(generators: Readonly<Record<string, TextGenerator>>): Promise<Record<string, Run>> {
  const runs: Record<string, Run> = {}
  for (const name of Object.keys(generators)) runs[name] = { texts: [], tokens: 0, ms: 0, verified: 0 }
  for (const prompt of prompts) {
    for (const [name, generator] of Object.entries(generators)) {
      const { text, usage, timings, speculation } = await generator.generateText({ prompt, maxTokens: 40 })
      const run = runs[name]!
      run.texts.push(text)
      run.tokens += usage.completionTokens - 1
      run.ms += timings.decodeMs ?? 0
      run.verified += speculation?.targetCalls ?? usage.completionTokens - 1
    }
  }
  return runs
}

function print(runs: Readonly<Record<string, Run>>): void {
  const [first] = Object.values(runs)
  for (const [name, { texts, tokens, ms, verified }] of Object.entries(runs)) {
    const same = texts.filter((text, index) => text === first!.texts[index]).length
    const rate = ((1000 * tokens) / ms).toFixed(1)
    console.log(
      `${name}: ${rate} tokens/s, τ ${(tokens / verified).toFixed(2)}, ${same} of ${texts.length} texts as the first`,
    )
  }
}

const [plainUrl, speculatingUrl] = process.argv.slice(2)
if (plainUrl !== undefined && speculatingUrl !== undefined) {
  await using plain = createClient({ baseURL: plainUrl, server: 'sglang' })
  await using speculating = createClient({ baseURL: speculatingUrl, server: 'sglang' })
  print(await compare({ plain, speculating }))
} else {
  await using engine = await loadEngine({ draft: 'ngram' })
  await using first = await standIn(engine, false)
  await using second = await standIn(engine, true)
  await using plain = createClient({ baseURL: first.url, server: 'sglang' })
  await using speculating = createClient({ baseURL: second.url, server: 'sglang' })
  const runs = await compare({ plain, speculating })
  print(runs)
  // The speed may differ, the text may not.
  assert.deepEqual(runs.speculating!.texts, runs.plain!.texts)
  assert.ok(runs.speculating!.verified < runs.plain!.verified)
}
