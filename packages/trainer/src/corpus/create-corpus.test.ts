import { mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { bf16ToFloat, floatToBf16 } from '@hass-engine/core'
import { plain } from '@hass-engine/draft-tree'
import { Speculation } from '@hass-engine/engine'
import { createTargetModel } from '@hass-engine/models'
import { exactMatch } from '@hass-engine/sampler'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useDevice } from '../testing/devices.js'
import { createTinyTarget, readFiles, runCorpus, type TinyTarget, tinyPrompts } from '../testing/tiny-target.js'
import type { CreateCorpusOptions } from './create-corpus.js'
import { createLocalFeatureSource } from './local-feature-source.js'
import { openCorpus } from './open-corpus.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-corpus-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('createCorpus', () => {
  const device = useDevice('cpu')
  let tiny: TinyTarget
  let options: Omit<CreateCorpusOptions, 'folder'>
  beforeAll(async () => {
    tiny = await createTinyTarget(device())
    options = {
      source: createLocalFeatureSource({ target: tiny.target, identity: tiny.identity }),
      tokenizer: tiny.tokenizer,
      texts: tinyPrompts(21),
      maxTokens: 12,
      maxPromptTokens: 80,
      promptsPerShard: 8,
    }
  })
  const at = (name: string) => join(folder, name)
  const withSource = (maxSequences: number) =>
    createLocalFeatureSource({ target: tiny.target, identity: tiny.identity, maxSequences })

  it('gives every prompt the response of the target itself, with its features', async () => {
    const events = await runCorpus({ ...options, folder })
    expect(events.map(({ type }) => type).filter((type) => type !== 'sequence-end')).toEqual([
      'corpus-start',
      'shard-saved',
      'shard-saved',
      'shard-saved',
      'corpus-end',
    ])
    const corpus = await openCorpus(folder, { target: tiny.identity })
    expect(corpus.sequences.map(({ id }) => id)).toEqual(options.texts.map(({ id }) => id))
    expect(new Set(corpus.sequences.map(({ temperature }) => temperature)).size).toBeGreaterThan(1)
    const { target } = tiny
    const speculation = new Speculation({ target, policy: plain(), verifier: exactMatch() })
    for (const [index, { tokens, promptTokens, temperature, seed }] of corpus.sequences.entries()) {
      // The engine's own loop chooses the same tokens.
      const choice = { temperature: temperature!, seed: BigInt(seed!) }
      const sequence = speculation.createSequence({
        tokens: tokens.subarray(0, promptTokens),
        choices: ({ logits, firstRow, history }) => ({
          choose: (node, path) =>
            temperature === 0
              ? logits.argMax(firstRow + node)
              : logits.gumbelArgMax(firstRow + node, { ...choice, position: history.length + path.length }),
          probs: () => expect.unreachable(),
        }),
      })
      await speculation.prefill(sequence)
      while (sequence.tokens.length < tokens.length) await speculation.cycle([sequence])
      expect([...sequence.tokens]).toEqual([...tokens])
      sequence.dispose()
      // One pass over the whole text has the features that generation had, up to what the shard rounds.
      const recomputed = await options.source.readFeatures(tokens)
      const rounded = recomputed.map((value) => bf16ToFloat(floatToBf16(value)))
      expect(await corpus.readFeatures(index)).toEqual(rounded)
    }
  })

  it('answers turn by turn, and marks every answer', async () => {
    const texts = [{ id: 'two', domain: 'talk', turns: ['one question', 'and another'] }]
    await runCorpus({ ...options, folder, texts, temperatures: [{ temperature: 0, share: 1 }], endTokens: [] })
    await runCorpus({
      ...options,
      folder: at('first'),
      texts,
      maxTurns: 1,
      temperatures: [{ temperature: 0, share: 1 }],
      endTokens: [],
    })
    const [two] = (await openCorpus(folder)).sequences
    const [one] = (await openCorpus(at('first'))).sequences
    const answer = (sequence: typeof one) =>
      tiny.tokenizer.decode(sequence!.tokens.subarray(sequence!.promptTokens), { skipSpecialTokens: true })
    const messages = [
      { role: 'user', content: 'one question' },
      { role: 'assistant', content: answer(one) },
      { role: 'user', content: 'and another' },
    ]
    const { ids } = await tiny.tokenizer.encodeChat(messages, { addGenerationPrompt: true })
    expect([...two!.tokens.subarray(0, two!.promptTokens)]).toEqual([...ids])
    const marked = two!.tokens.filter((_, i) => two!.responseMask[i] === 1)
    expect(tiny.tokenizer.decode(marked)).toBe(answer(one) + answer(two))
  })

  it('reads dialogues as they stand', async () => {
    const messages = [
      { role: 'user', content: 'a question' },
      { role: 'assistant', content: 'an answer' },
      { role: 'user', content: 'more' },
      { role: 'assistant', content: 'less' },
    ]
    const texts = [
      { id: 'fixed', domain: 'fixed', messages },
      { id: 'silent', domain: 'fixed', messages: messages.slice(0, 1) },
    ]
    const events = await runCorpus({ ...options, folder, texts })
    expect(events).toContainEqual({ type: 'prompt-skipped', id: 'silent' })
    const { sequences, shards } = await openCorpus(folder)
    expect(shards).toMatchObject([{ sequences: 1, skipped: 1 }])
    const { ids, lossMask } = await tiny.tokenizer.encodeChatWithLossMask(messages)
    expect(sequences).toMatchObject([{ tokens: Uint32Array.from(ids), responseMask: lossMask }])
    expect(sequences[0]).not.toHaveProperty('temperature')
  })

  it('leaves out what is too long', async () => {
    const texts = [...tinyPrompts(2), { id: 'long', domain: 'even', turns: ['x'.repeat(81)] }]
    const events = await runCorpus({ ...options, folder, texts })
    expect(events).toContainEqual({ type: 'prompt-skipped', id: 'long' })
    expect((await openCorpus(folder)).sequences).toHaveLength(2)
  })

  it('has the same bytes in any batch, on any device, and however often it was interrupted', async () => {
    await runCorpus({ ...options, folder: at('whole') })
    const whole = await readFiles(at('whole'))
    await runCorpus({ ...options, folder: at('alone'), concurrency: 1, source: withSource(1) })
    expect(await readFiles(at('alone'))).toEqual(whole)
    let stops = 0
    for (let events = 1; events < 60; events += 7) {
      let seen = 0
      await runCorpus({ ...options, folder: at('cut'), source: withSource(5) }, () => ++seen === events)
      stops++
    }
    await runCorpus({ ...options, folder: at('cut') })
    expect(stops).toBeGreaterThan(5)
    expect(await readFiles(at('cut'))).toEqual(whole)
  })

  it('recomputes features where none are kept', async () => {
    await runCorpus({ ...options, folder: at('kept') })
    await runCorpus({ ...options, folder: at('none'), features: 'recompute' })
    expect((await readdir(at('none'))).filter((name) => name.startsWith('features'))).toEqual([])
    await expect(openCorpus(at('none'))).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_FEATURES' })
    const kept = await openCorpus(at('kept'))
    const none = await openCorpus(at('none'), { source: options.source })
    expect(none.sequences).toEqual(kept.sequences)
    const rounded = (await none.readFeatures(3)).map((value) => bf16ToFloat(floatToBf16(value)))
    expect(await kept.readFeatures(3)).toEqual(rounded)
  })

  it('keeps everybody else out while it runs', async () => {
    let checked = false
    for await (const event of (await import('./create-corpus.js')).createCorpus({ ...options, folder })) {
      if (checked) continue
      checked = true
      expect(event.type).toBe('corpus-start')
      await expect(runCorpus({ ...options, folder })).rejects.toMatchObject({
        code: 'HASS_ERR_CORPUS_LOCKED',
        details: { pid: process.pid, host: hostname() },
      })
    }
    expect(checked).toBe(true)
  })

  it('takes over what a killed process has left', async () => {
    await writeFile(at('lock'), JSON.stringify({ pid: 2 ** 30, host: hostname(), nonce: 'gone' }))
    expect((await runCorpus({ ...options, folder, texts: tinyPrompts(1) })).at(-1)!.type).toBe('corpus-end')
    await writeFile(at('lock'), JSON.stringify({ pid: 2 ** 30, host: 'elsewhere', nonce: 'unknown' }))
    await expect(runCorpus({ ...options, folder, texts: tinyPrompts(1) })).rejects.toMatchObject({
      code: 'HASS_ERR_CORPUS_LOCKED',
    })
  })

  it('refuses another target, other prompts and other settings, and says which', async () => {
    await runCorpus({ ...options, folder, texts: tinyPrompts(3) })
    const before = await readFiles(folder)
    const other = { ...tiny.identity, sha256: '0'.repeat(64) }
    await expect(openCorpus(folder, { target: other })).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_MISMATCH' })
    const source = createLocalFeatureSource({ target: tiny.target, identity: other })
    const changes = [
      [{ source }, 'sha256'],
      [{ texts: tinyPrompts(4) }, 'promptsSha256'],
      [{ salt: 'x' }, 'salt'],
      [{ maxTokens: 13 }, 'maxTokens'],
      [{ features: 'F16' }, 'features'],
    ] as const
    for (const [change, key] of changes) {
      const refused = await runCorpus({ ...options, folder, texts: tinyPrompts(3), ...change }).catch((e) => e)
      expect(refused).toMatchObject({ code: 'HASS_ERR_CORPUS_MISMATCH' })
      expect(refused.details.differences.map((difference: { key: string }) => difference.key)).toContain(key)
    }
    expect(await readFiles(folder)).toEqual(before)
  })

  it('keeps what was saved when the disk is full, and goes on from there', async () => {
    await runCorpus({ ...options, folder: at('whole') })
    let left = 3
    const full = async () => {
      if (left-- > 0) return
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }
    const fileSystem = {
      rename,
      rm,
      open: async (...args: Parameters<typeof open>) => {
        const handle = await open(...args)
        const write = handle.write.bind(handle) as (...parts: unknown[]) => Promise<never>
        handle.write = (async (...parts: unknown[]) => {
          if (/features/.test(String(args[0]))) await full()
          return write(...parts)
        }) as typeof handle.write
        return handle
      },
    }
    const cut = { ...options, folder: at('cut') }
    await expect(runCorpus({ ...cut, fileSystem })).rejects.toMatchObject({ code: 'HASS_ERR_NO_SPACE' })
    expect((await openCorpus(at('cut'))).shards.length).toBe(1)
    expect((await readdir(at('cut'))).filter((name) => /tmp|lock/.test(name))).toEqual([])
    await runCorpus(cut)
    expect(await readFiles(at('cut'))).toEqual(await readFiles(at('whole')))
  })

  it('stops with the signal, and leaves the target usable', async () => {
    const aborting = new AbortController()
    const run = runCorpus({ ...options, folder, signal: aborting.signal }, ({ type }) => {
      if (type === 'sequence-end') aborting.abort(new Error('enough'))
      return false
    })
    await expect(run).rejects.toThrow('enough')
    expect(tiny.target.cache.free).toBe(tiny.target.cache.capacity)
    await runCorpus({ ...options, folder })
  })

  it('passes on what the target throws', async () => {
    const target = await createTargetModel({ device: device(), model: tiny.model, cacheTokens: 64 })
    const source = createLocalFeatureSource({ target, identity: tiny.identity })
    target.dispose()
    await expect(runCorpus({ ...options, folder, source })).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    expect(await readdir(folder)).toEqual(['manifest.json'])
  })

  it.each([
    [{ temperatures: [{ temperature: 0, share: 0.5 }] }, /add up to 0.5/],
    [{ maxTokens: 0 }, /maxTokens/],
    [{ features: 'F8' }, /features is "F8"/],
    [{ tepmeratures: [] }, /no option "tepmeratures"/],
    [{ texts: [...tinyPrompts(1), ...tinyPrompts(1)] }, /Two texts have the id/],
  ])('refuses %j', async (change, message) => {
    await expect(runCorpus({ ...options, folder, ...(change as object) })).rejects.toThrow(message)
  })
})
