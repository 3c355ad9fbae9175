import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Device } from '@hass-engine/kernels'
import { createTargetModel, type DeviceTargetModel } from '@hass-engine/models'
import type { Tokenizer } from '@hass-engine/tokenizer'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import { goldenPath } from '../../../../test/support/golden.js'
import { endIdsOf, goldenHeads, targetOf, vocabSizeOf } from '../../../engine/src/testing/tiny-models.js'
import { createTinyTokenizer } from '../../../engine/src/testing/tiny-tokenizer.js'
import type { CorpusEvent } from '../corpus/corpus-events.js'
import { type CreateCorpusOptions, createCorpus } from '../corpus/create-corpus.js'
import type { CorpusPrompt } from '../corpus/prompts.js'
import { identifyTarget, type TargetIdentity } from '../corpus/target-identity.js'

/** A golden target on a device, with a vocabulary. */
export interface TinyTarget {
  /** The golden head that goes with it. */
  readonly headName: string
  readonly model: OpenedModel
  readonly target: DeviceTargetModel
  readonly tokenizer: Tokenizer
  readonly identity: TargetIdentity
}

export async function createTinyTarget(device: Device, cacheTokens = 1024): Promise<TinyTarget> {
  const headName = goldenHeads[0]!
  const name = targetOf(headName)
  const model = await openModel(goldenPath('models', name))
  return {
    headName,
    model,
    target: await createTargetModel({ device, model, cacheTokens }),
    tokenizer: createTinyTokenizer(vocabSizeOf(name), endIdsOf(name)),
    identity: await identifyTarget(model),
  }
}

/** Prompts of two domains, some of them of several turns. */
export function tinyPrompts(count: number): CorpusPrompt[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${i % 2 ? 'odd' : 'even'}/${i}`,
    domain: i % 2 ? 'odd' : 'even',
    turns: Array.from(
      { length: 1 + (i % 3 === 2 ? 1 : 0) },
      (_, turn) => `question ${i} ${'abc'.repeat(i % 5)}${turn}`,
    ),
  }))
}

/** Makes the corpus, to its end or until `isEnough` says so; what happened. */
export async function runCorpus(
  options: CreateCorpusOptions,
  isEnough: (event: CorpusEvent) => boolean = () => false,
): Promise<CorpusEvent[]> {
  const events: CorpusEvent[] = []
  for await (const event of createCorpus(options)) {
    events.push(event)
    if (isEnough(event)) break
  }
  return events
}

/** All files of a folder by name. */
export async function readFiles(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder)).sort()
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
}
