import assert from 'node:assert/strict'
import type { SequenceStep, TargetModel, TargetOutput, TargetSequence } from '../model.js'
import type { Token } from '../token.js'
import { type ContractCase, createRandom } from './contract-case.js'

/**
 * What every `TargetModel` must keep, the promise's first rule above all: a row's bits do not depend on how its
 * context came into the cache, nor on what is computed beside it.
 */
export function targetModelCases(create: () => TargetModel | Promise<TargetModel>): ContractCase[] {
  return [
    {
      name: 'gives the bits of one prefill for every split into chunks',
      async run() {
        const model = await create()
        const tokens = inventTokens(model, 13)
        const whole = await rowsOf(model, tokens, [13])
        for (const sizes of [[1, 12], [5, 4, 4], Array<number>(13).fill(1)]) {
          assert.deepEqual(await rowsOf(model, tokens, sizes), whole, `chunks of ${sizes}`)
        }
      },
    },
    {
      name: 'gives a tree node the bits of its path decoded alone',
      async run() {
        const model = await create()
        const prefix = inventTokens(model, 6)
        const tree = { tokens: inventTokens(model, 9, 2), parents: [-1, 0, 0, 1, 1, 2, 3, 3, 6] }
        const { sequence } = await prefilled(model, prefix)
        const [output] = await model.forward([step(sequence, tree.tokens, tree.parents)])
        for (let node = 0; node < tree.tokens.length; node++) {
          const path: Token[] = []
          for (let at = node; at >= 0; at = tree.parents[at]!) path.unshift(tree.tokens[at]!)
          const all = [...prefix, ...path]
          const alone = await rowsOf(model, all, Array<number>(all.length).fill(1))
          assert.deepEqual(await readRow(output!, node), alone.at(-1), `node ${node}`)
        }
        sequence.dispose()
      },
    },
    {
      name: 'keeps exactly the committed rows, in order',
      async run() {
        const model = await create()
        const prefix = inventTokens(model, 5)
        const tree = { tokens: inventTokens(model, 6, 3), parents: [-1, 0, 0, 2, 2, 4] }
        const { sequence } = await prefilled(model, prefix)
        await model.forward([step(sequence, tree.tokens, tree.parents)])
        sequence.commit([0, 2, 4])
        assert.equal(sequence.length, 8)
        const last = inventTokens(model, 1, 4)[0]!
        const [output] = await model.forward([step(sequence, [last], [-1])])
        const all = [...prefix, tree.tokens[0]!, tree.tokens[2]!, tree.tokens[4]!, last]
        assert.deepEqual(await readRow(output!, 0), (await rowsOf(model, all, [9])).at(-1))
        sequence.commit([])
        assert.equal(sequence.length, 8)
        sequence.dispose()
      },
    },
    {
      name: 'gives each sequence of a batch the bits that it has alone',
      async run() {
        const model = await create()
        const prompts = [inventTokens(model, 4, 5), inventTokens(model, 9, 6), inventTokens(model, 1, 7)]
        const sequences = prompts.map(() => model.createSequence())
        const outputs = await model.forward(prompts.map((tokens, i) => step(sequences[i]!, tokens)))
        for (const [i, tokens] of prompts.entries()) {
          const alone = await rowsOf(model, tokens, [tokens.length])
          for (const row of tokens.keys()) assert.deepEqual(await readRow(outputs[i]!, row), alone[row])
          sequences[i]!.dispose()
        }
      },
    },
    {
      name: 'answers argMax as its row reads, the lowest id among equals',
      async run() {
        const model = await create()
        const { output, sequence, tokens } = await prefilled(model, inventTokens(model, 7))
        const row = await output.logits.read(tokens.length - 1)
        assert.equal(await output.logits.argMax(tokens.length - 1), row.indexOf(Math.max(...row)))
        sequence.dispose()
      },
    },
    {
      name: 'rejects an aborted pass with the reason of its signal and can go on after it',
      async run() {
        const model = await create()
        const reason = new Error('no longer wanted')
        const sequence = model.createSequence()
        const tokens = inventTokens(model, 4)
        const aborted = model.forward([step(sequence, tokens)], { signal: AbortSignal.abort(reason) })
        await assert.rejects(aborted, reason)
        assert.equal(sequence.length, 0)
        const [output] = await model.forward([step(sequence, tokens)])
        const alone = await rowsOf(model, tokens, [4])
        assert.deepEqual(await readRow(output!, 3), alone.at(-1))
        sequence.dispose()
        sequence.dispose()
      },
    },
  ]
}

interface Row {
  readonly logits: Float32Array
  readonly feature: Float32Array
}

/** A step of a chain unless parents are given. */
function step(sequence: TargetSequence, tokens: readonly Token[], parents?: readonly number[]): SequenceStep {
  return {
    sequence,
    tokens: Uint32Array.from(tokens),
    parents: Int32Array.from(parents ?? tokens.map((_, row) => row - 1)),
  }
}

async function prefilled(model: TargetModel, tokens: readonly Token[]) {
  const sequence = model.createSequence()
  const [output] = await model.forward([step(sequence, tokens)])
  sequence.commit(tokens.map((_, row) => row))
  return { sequence, output: output!, tokens }
}

/** The rows of a new sequence that is fed in chunks, read before the next chunk makes them invalid. */
async function rowsOf(model: TargetModel, tokens: readonly Token[], sizes: readonly number[]): Promise<Row[]> {
  const sequence = model.createSequence()
  const rows: Row[] = []
  let from = 0
  for (const size of sizes) {
    const chunk = tokens.slice(from, from + size)
    const [output] = await model.forward([step(sequence, chunk)])
    for (const row of chunk.keys()) rows.push(await readRow(output!, row))
    sequence.commit([...chunk.keys()])
    from += size
  }
  sequence.dispose()
  assert.equal(rows.length, tokens.length)
  return rows
}

async function readRow(output: TargetOutput, row: number): Promise<Row> {
  return { logits: await output.logits.read(row), feature: await output.features.read(row) }
}

function inventTokens(model: TargetModel, count: number, seed = 1): Token[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => Math.floor(random() * model.vocabSize))
}
