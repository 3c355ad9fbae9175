import type { ChoiceRule, DraftCandidates, DraftContext, FeatureRows } from '@hass-engine/core'
import { coupledCandidates, topCandidates } from '@hass-engine/draft-tree'
import { createNoiseField } from '@hass-engine/sampler'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../test/support/golden.js'
import { createDraftHead, type DraftHeadOptions, loadDraftHead } from './create-draft-head.js'
import { createTargetModel } from './create-target-model.js'
import { alterModel, floatTensor, integerTensor } from './testing/altered-model.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { goldenHead } from './testing/golden-names.js'
import { prefill, range } from './testing/run-steps.js'

const { headName, targetName } = goldenHead()

const noise = createNoiseField(3)

/** Features as a function of the row: what the target says is not under test here. */
function inventFeatures(hiddenSize: number, value?: number): FeatureRows {
  return {
    rows: 64,
    hiddenSize,
    read: (row) => Float32Array.from({ length: hiddenSize }, (_, i) => value ?? 2 * noise.uniform(row, i) - 1),
  }
}

describe.each(deviceKinds)('draft head on %s', (kind) => {
  const device = useDevice(kind)
  const load = async (
    alter: (head: OpenedModel) => OpenedModel = (head) => head,
    options: Partial<DraftHeadOptions> = {},
  ) => {
    const target = await createTargetModel({
      device: device(),
      model: await openModel(goldenPath('models', targetName)),
      cacheTokens: 64,
    })
    const model = alter(await openModel(goldenPath('heads', headName)))
    const observed = new Map<string, Float32Array>()
    const head = await loadDraftHead(
      { device: device(), target, model, ...options },
      { observe: (name, rows) => observed.set(name, rows) },
    )
    const context = (tokens: readonly number[], more: Partial<DraftContext> = {}): DraftContext => ({
      sequence: head.createSequence(),
      tokens: Uint32Array.from(tokens),
      features: inventFeatures(target.hiddenSize),
      featureRows: range(tokens.length),
      width: 4,
      ...more,
    })
    return { target, head, observed, context }
  }
  const frontier = (tokens: readonly number[], parents: readonly number[]) => ({
    tokens: Uint32Array.from(tokens),
    parents: Uint32Array.from(parents),
  })

  it('gives the bits of one pass for every split of a context and batch of sequences', async () => {
    const { head, context } = await load()
    const tokens = [5, 6, 7, 8, 9, 10, 11]
    const whole = context(tokens)
    const [expected] = await head.begin([whole])
    const children = frontier([1, 2, 3], [0, 0, 0])
    const [level] = await head.extend([{ sequence: whole.sequence, frontier: children }])
    const [deeper] = await head.extend([{ sequence: whole.sequence, frontier: frontier([4, 4], [1, 3]) }])
    const { head: narrow, context: narrowContext } = await load(undefined, { maxRows: 2 })
    for (const [one, create] of [
      [head, context],
      [narrow, narrowContext],
    ] as const) {
      const first = create(tokens.slice(0, 3), { width: 0 })
      const { sequence } = first
      expect(await one.begin([first])).toEqual([
        { rows: 1, width: 0, tokens: new Uint32Array(), logProbs: new Float32Array() },
      ])
      const rest = create(tokens.slice(3), { sequence, featureRows: [3, 4, 5, 6] })
      const other = create([40, 41])
      expect((await one.begin([other, rest]))[1]).toEqual(expected)
      const frontiers = [
        { sequence, frontier: children },
        { sequence: other.sequence, frontier: frontier([], []) },
      ]
      expect(await one.extend(frontiers)).toEqual([
        level,
        { rows: 0, width: 4, tokens: new Uint32Array(), logProbs: new Float32Array() },
      ])
      expect(await one.extend([{ sequence, frontier: frontier([4], [3]) }])).toEqual([rowsOf(deeper!, 1)])
      // A new cycle forgets drafted rows.
      const again = create(tokens)
      await one.begin([again])
      expect(await one.extend([{ sequence: again.sequence, frontier: children }])).toEqual([level])
    }
  })

  it('ranks plain candidates by log-softmax', async () => {
    const { head, context, observed, target } = await load()
    const [found] = await head.begin([context([1, 2, 3])])
    const logits = observed.get('logits')!
    const expected = topCandidates({ logits, rows: 1, vocabSize: target.vocabSize, width: 4 })
    expect(found!.tokens).toEqual(expected.tokens)
    for (const [i, logProb] of expected.logProbs.entries()) expect(found!.logProbs[i]).toBeCloseTo(logProb, 4)
  })

  it.each([{}, { topK: 5 }, { topP: 0.6 }, { minP: 0.2 }])(
    'ranks coupled candidates by the noise of the position and the target token: %j',
    async (cuts) => {
      const coupling: ChoiceRule = { temperature: 0.7, seed: 99n, ...cuts }
      const { head, context, observed, target } = await load()
      const { vocabSize } = target
      const field = createNoiseField(coupling.seed)
      const begun = context([1, 2, 3], { coupling })
      const [found] = await head.begin([begun])
      const expectCoupled = (candidates: DraftCandidates, rows: number, position: number) => {
        // The head divides its features by the temperature, so these are log q up to a constant.
        const { tokens } = coupledCandidates({
          logits: observed.get('logits')!,
          rows,
          vocabSize,
          width: 4,
          pool: 128,
          positions: Array(rows).fill(position),
          noise: (at, token) => field.gumbel(at, token),
          rule: { ...coupling, temperature: 1 },
        })
        expect([...candidates.tokens].slice(0, tokens.length)).toEqual([...tokens])
      }
      // The root is token 3 of the text: the token after it stands at 4.
      expectCoupled(found!, 1, 4)
      const [level] = await head.extend([{ sequence: begun.sequence, frontier: frontier([7, 8], [0, 0]) }])
      expectCoupled(level!, 2, 5)
    },
  )

  it('proposes plain candidates for a rule of temperature 0', async () => {
    const { head, context } = await load()
    const [plain] = await head.begin([context([1, 2])])
    const [greedy] = await head.begin([context([1, 2], { coupling: { temperature: 0, seed: 1n } })])
    expect(greedy).toEqual(plain)
  })

  it("proposes target ids of its draft vocabulary, with the target's logits for them", async () => {
    const ids = [3, 8, 9, 20, 27, 41, 42, 43, 50]
    const { head, context, observed } = await load((model) =>
      alterModel(
        model,
        [
          integerTensor(
            'd2t',
            ids.map((id, i) => id - i),
          ),
        ],
        { draftVocabSize: ids.length },
      ),
    )
    expect(head.draftVocabSize).toBe(ids.length)
    const [found] = await head.begin([context([1, 2, 3])])
    const reduced = observed.get('logits')!
    const full = await load()
    await full.head.begin([full.context([1, 2, 3])])
    expect([...reduced]).toEqual(ids.map((id) => full.observed.get('logits')![id]))
    const order = range(ids.length).sort((a, b) => reduced[b]! - reduced[a]!)
    expect([...found!.tokens]).toEqual(order.slice(0, 4).map((i) => ids[i]))
    // The noise is that of the target's ids.
    const coupling = { temperature: 1, seed: 7n }
    const [coupled] = await head.begin([context([1, 2, 3], { coupling })])
    const field = createNoiseField(7n)
    const keys = ids.map((id, i) => reduced[i]! + field.gumbel(4, id))
    expect(coupled!.tokens[0]).toBe(ids[keys.indexOf(Math.max(...keys))])
  })

  it('leaves impossible candidates where the draft vocabulary is smaller than the width', async () => {
    const { head, context } = await load((model) =>
      alterModel(model, [integerTensor('d2t', [4, 4])], { draftVocabSize: 2 }),
    )
    const [found] = await head.begin([context([1, 2])])
    expect(found).toMatchObject({ rows: 1, width: 4 })
    expect([...found!.tokens].sort()).toEqual([0, 0, 4, 5])
    expect([...found!.logProbs].map((value) => value > -Infinity)).toEqual([true, true, false, false])
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1e38])(
    'never throws with weights and features of %s',
    async (value) => {
      const { head, context, target } = await load((model) =>
        alterModel(model, [
          floatTensor(
            'fc.weight',
            [model.config.hiddenSize, 2 * model.config.hiddenSize],
            new Float32Array(2 * model.config.hiddenSize ** 2).fill(value),
          ),
        ]),
      )
      for (const coupling of [undefined, { temperature: 0.8, seed: 5n, topP: 0.9 }]) {
        const features = inventFeatures(target.hiddenSize, value)
        const begun = context([1, 2, 3], { features, ...(coupling && { coupling }) })
        const [found] = await head.begin([begun])
        expect(found).toMatchObject({ rows: 1, width: 4 })
        expect(found!.tokens.every((token) => token < target.vocabSize)).toBe(true)
        const [level] = await head.extend([{ sequence: begun.sequence, frontier: frontier([1, 2], [0, 0]) }])
        expect(level!.rows).toBe(2)
      }
    },
  )

  it("reads its target's features where they are, whatever has become of the step's other rows", async () => {
    const { target, head } = await load()
    const { sequence, output: prompt } = await prefill(target, [1, 2, 3])
    const tokens = Uint32Array.of(7, 8, 9, 10)
    const step = { sequence, tokens, parents: Int32Array.of(-1, 0, 0, 2) }
    const [output] = await target.forward([step])
    const { hiddenSize } = target
    const copied = async (from: FeatureRows, rows: readonly number[]): Promise<FeatureRows> => {
      const copies = new Map(await Promise.all(rows.map(async (row) => [row, await from.read(row)] as const)))
      return { rows: from.rows, hiddenSize, read: (row) => copies.get(row)! }
    }
    const draft = async (features: FeatureRows, featureRows: readonly number[]) => {
      const own = head.createSequence()
      const [root] = await head.begin([
        { sequence: own, tokens: Uint32Array.from(featureRows, (row) => 20 + row), features, featureRows, width: 4 },
      ])
      const [level] = await head.extend([{ sequence: own, frontier: frontier([...root!.tokens.slice(0, 2)], [0, 0]) }])
      own.dispose()
      return [root, level]
    }
    const copies = await copied(output!.features, [0, 1, 2, 3])
    for (const rows of [[0, 1], [2], [0, 2, 3]]) {
      expect(await draft(output!.features, rows), 'open').toEqual(await draft(copies, rows))
    }
    sequence.commit([0, 2])
    // Takes the slots of the forgotten rows.
    const other = await prefill(target, [30, 31, 32])
    for (const rows of [
      [0, 2],
      [1, 3],
    ]) {
      expect(await draft(output!.features, rows), 'committed').toEqual(await draft(copies, rows))
    }
    sequence.dispose()
    await prefill(target, range(16))
    expect(await draft(output!.features, [0, 2]), 'freed').toEqual(await draft(copies, [0, 2]))
    await expect(draft(prompt.features, [0])).rejects.toThrow(/earlier step/)
    // What one call mixes: features that stay, and features that are brought.
    const ofOther = await copied(other.output.features, [0, 1])
    const contexts = [other.output.features, ofOther].map((features): DraftContext => {
      return { sequence: head.createSequence(), tokens: Uint32Array.of(4, 5), features, featureRows: [0, 1], width: 3 }
    })
    const [kept, brought] = await head.begin(contexts)
    expect(kept).toEqual(brought)
  })

  it('shares rows between sequences, and gives all slots back', async () => {
    const { head, context } = await load()
    const whole = context([1, 2, 3, 4, 5])
    await head.begin([whole])
    const fork = (whole.sequence as ReturnType<typeof head.createSequence>).fork({ length: 3 })
    const [found] = await head.begin([context([9, 8], { sequence: fork, featureRows: [3, 4] })])
    const alone = context([1, 2, 3, 9, 8])
    expect([found]).toEqual(await head.begin([alone]))
    for (const { sequence } of [whole, alone]) sequence.dispose()
    fork.dispose()
    fork.dispose()
    expect(head.cache.free).toBe(head.cache.capacity)
  })

  it('appends nothing where a pass is aborted or the cache is full', async () => {
    const { head, context } = await load(undefined, { cacheTokens: 8 })
    const first = context([1, 2, 3])
    const { sequence } = first
    const [expected] = await head.begin([first])
    const free = head.cache.free
    const reason = new Error('no more')
    await expect(head.begin([context([1], { sequence })], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(head.begin([context([1, 2, 3, 4, 5, 6], { sequence })])).rejects.toMatchObject({
      code: 'HASS_ERR_CACHE_FULL',
    })
    const six = frontier([1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0])
    await head.begin([context([4], { sequence, featureRows: [3] })])
    await expect(head.extend([{ sequence, frontier: six }])).rejects.toMatchObject({ code: 'HASS_ERR_CACHE_FULL' })
    expect(sequence.length).toBe(4)
    expect(head.cache.free).toBe(free - 1)
    sequence.dispose()
    expect([expected]).toEqual(await head.begin([context([1, 2, 3])]))
  })
})

function rowsOf({ width, tokens, logProbs }: DraftCandidates, row: number): DraftCandidates {
  const part = [row * width, (row + 1) * width] as const
  return { rows: 1, width, tokens: tokens.slice(...part), logProbs: logProbs.slice(...part) }
}

describe('draft head', () => {
  const device = useDevice('cpu')

  it('keeps its own matrices and its lm_head as it is told, and guesses nearly the same', async () => {
    const target = await createTargetModel({
      device: device(),
      model: await openModel(goldenPath('models', targetName)),
      cacheTokens: 64,
    })
    const firstIds = integerTensor('d2t', Array(64).fill(0))
    const opened = alterModel(await openModel(goldenPath('heads', headName)), [firstIds], { draftVocabSize: 64 })
    const load = (options: Partial<DraftHeadOptions>) =>
      createDraftHead({ device: device(), target, model: opened, ...options })
    const guess = async (options: Partial<DraftHeadOptions>) => {
      const head = await load(options)
      const [candidates] = await head.begin([
        {
          sequence: head.createSequence(),
          tokens: Uint32Array.of(5, 6, 7),
          features: inventFeatures(target.hiddenSize),
          featureRows: range(3),
          width: 3,
        },
      ])
      const dtypes = new Set(head.precision.converted.map(({ dtype }) => dtype))
      const names = head.precision.converted.map(({ name }) => name)
      head.dispose()
      return { candidates: candidates!, dtypes: [...dtypes], names }
    }
    const exact = await guess({ weightDtype: 'file' })
    expect(exact.names).toEqual([])
    const byDefault = await guess({})
    expect(byDefault.dtypes).toEqual(['Q8'])
    expect(byDefault.names).not.toContain('lm_head.weight')
    const small = await guess({ weightDtype: 'Q4', lmHeadDtype: 'Q4' })
    expect(small.dtypes).toEqual(['Q4'])
    expect(small.names).toContain('lm_head.weight')
    const differences = [byDefault, small].map(({ candidates }) => {
      return Math.abs(candidates.logProbs[0]! - exact.candidates.logProbs[0]!)
    })
    expect(differences[0]).toBeLessThan(0.05)
    expect(differences[1]).toBeGreaterThan(differences[0]!)
    await expect(load({ weightDtype: 'Q7' as never })).rejects.toThrow(/Q7/)
    target.dispose()
  })

  it('refuses misuse with typed errors', async () => {
    const model = await openModel(goldenPath('models', targetName))
    const target = await createTargetModel({ device: device(), model, cacheTokens: 32 })
    const opened = await openModel(goldenPath('heads', headName))
    const create = (options: Partial<DraftHeadOptions> = {}) =>
      createDraftHead({ device: device(), target, model: opened, ...options })
    const head = await create()
    expect(head.precision).toMatchObject({ isExact: false })
    expect((await create({ weightDtype: 'file' })).precision.isExact).toBe(true)
    const sequence = head.createSequence()
    const context: DraftContext = {
      sequence,
      tokens: Uint32Array.of(1),
      features: inventFeatures(target.hiddenSize),
      featureRows: [0],
      width: 2,
    }
    const refusals: readonly (readonly [DraftContext[], RegExp])[] = [
      [[{ ...context, tokens: Uint32Array.of(target.vocabSize) }], /token/],
      [[{ ...context, tokens: new Uint32Array() }], /tokens of a context/],
      [[{ ...context, featureRows: [0, 1] }], /1 tokens and 2 features/],
      [[{ ...context, features: inventFeatures(3) }], /of size 3/],
      [[{ ...context, width: -1 }], /width/],
      [[context, context], /twice/],
      [[{ ...context, sequence: target.createSequence() }], /another draft model/],
      [[{ ...context, sequence: (await create()).createSequence() }], /another draft model/],
    ]
    for (const [contexts, message] of refusals) {
      await expect(head.begin(contexts)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT', message })
    }
    const extend = (tokens: number[], parents: number[]) =>
      head.extend([{ sequence, frontier: { tokens: Uint32Array.from(tokens), parents: Uint32Array.from(parents) } }])
    await expect(extend([1], [0])).rejects.toThrow(/parent of row 0/)
    await head.begin([context])
    await expect(extend([1], [1])).rejects.toThrow(/parent of row 0/)
    await expect(extend([1, 2], [0])).rejects.toThrow(/2 tokens and 1 parents/)
    await expect(extend([target.vocabSize], [0])).rejects.toThrow(/token/)
    await expect(create({ widht: 3 } as never)).rejects.toThrow(/no option "widht"/)
    await expect(create({ model })).rejects.toMatchObject({ code: 'HASS_ERR_DRAFT_MISMATCH' })
    await expect(create({ signal: AbortSignal.abort(new Error('later')) })).rejects.toThrow('later')
    const before = device().facts.memoryBytes
    head.dispose()
    head.dispose()
    expect(device().facts.memoryBytes).toBeLessThan(before)
    await expect(head.begin([context])).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    expect(() => head.createSequence()).toThrow(/disposed/)
    target.dispose()
  })
})
