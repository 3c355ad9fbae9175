import type { LogitsRows, TargetOutput, Token } from '@hass-engine/core'
import type { DeviceSequence, DeviceTargetModel } from '@hass-engine/models'
import type { LogitsProcessor } from '@hass-engine/sampler'
import type { Mutant } from './law.js'
import { override } from './watched-models.js'

/** Breaks the target alone. */
function mutateTarget(mutate: (target: DeviceTargetModel) => Partial<DeviceTargetModel>): Mutant {
  return { models: ({ target, draft }) => ({ target: override(target, mutate(target)), draft }) }
}

/** Breaks what is made of a row of logits. */
function mutateLogits(mutate: (logits: LogitsRows, rows: number, pass: number) => Partial<LogitsRows>): Mutant {
  let pass = 0
  return mutateTarget((target) => ({
    async forward(steps, options) {
      const outputs = await target.forward(steps, options)
      pass += 1
      const rows = steps.reduce((sum, { tokens }) => sum + tokens.length, 0)
      return outputs.map(
        ({ logits, features }): TargetOutput => ({ features, logits: override(logits, mutate(logits, rows, pass)) }),
      )
    },
  }))
}

/** Breaks the sequences of the target, forks included. */
function mutateSequences(mutate: (sequence: DeviceSequence) => void): Mutant {
  const mutated = (sequence: DeviceSequence): DeviceSequence => {
    const fork = sequence.fork.bind(sequence)
    sequence.fork = (options) => mutated(fork(options))
    mutate(sequence)
    return sequence
  }
  return mutateTarget((target) => ({ createSequence: () => mutated(target.createSequence()) }))
}

const bits = new DataView(new ArrayBuffer(4))

/** The next float32 away from zero. */
function nextFloat(value: number): number {
  bits.setFloat32(0, value)
  bits.setUint32(0, bits.getUint32(0) + 1)
  return bits.getFloat32(0)
}

/** Last bits that depend on how many rows are computed together: a chunk border moved, tiles by row count. */
function rowCountInBits(): Mutant {
  return mutateLogits((logits, rows) => ({
    async read(row) {
      const values = await logits.read(row)
      if (rows > 1) values[0] = nextFloat(values[0]!)
      return values
    },
  }))
}

/** The noise of a token depends on how many passes there were before it. */
function noiseByCycle(): Mutant {
  return mutateLogits((logits, _rows, pass) => ({
    gumbelArgMax: (row, choice) => logits.gumbelArgMax(row, { ...choice, position: pass }),
  }))
}

/** Rows below the first level see their parent's sibling, a slot that is none of theirs, in the parent's place. */
function unmaskedSlot(): Mutant {
  return mutateSequences(({ cached }) => {
    const pathSlots = cached.pathSlots.bind(cached)
    cached.pathSlots = (row, above) => {
      const slots = pathSlots(row, above)
      const parent = row < 0 ? -1 : cached.parent(row)
      const sibling = Array.from({ length: cached.numOpen }, (_, other) => other).find(
        (other) => parent > above && other !== parent && other < row && cached.parent(other) === cached.parent(parent),
      )
      if (sibling !== undefined) slots[slots.length - 2] = cached.slot(sibling)
      return slots
    }
  })
}

/** A context keeps the key and value of a row that was rejected, in place of its last accepted one. */
function rejectedRowKept(): Mutant {
  return mutateSequences((sequence) => {
    const commit = sequence.commit.bind(sequence)
    const { cached } = sequence
    sequence.commit = (rows) => {
      const kept = Array.from(rows)
      const last = kept.at(-1)
      const parent = last === undefined ? undefined : cached.parent(last)
      const sibling = Array.from({ length: cached.numOpen }, (_, row) => row).find(
        (row) => row !== last && cached.parent(row) === parent,
      )
      commit(sibling === undefined ? kept : [...kept.slice(0, -1), sibling])
    }
  })
}

/** A text that begins like another one takes a row of it too many. */
function prefixTooLong(): Mutant {
  return mutateSequences((sequence) => {
    const fork = sequence.fork.bind(sequence)
    sequence.fork = ({ length = sequence.length } = {}) => fork({ length: Math.min(length + 1, sequence.length) })
  })
}

/** The repetition penalty overlooks the token before the choice where that is one of a tree. */
function penaltyOffByOne(): Mutant {
  return {
    request({ repetitionPenalty = 1, ...options }) {
      const penalty: LogitsProcessor = {
        name: 'late-penalty',
        process(logits, { history, path }) {
          const known = path.length > 1 ? path.slice(0, -1) : path
          for (const token of new Set<Token>([...Array.from(history), ...known])) {
            const logit = logits[token]!
            logits[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
          }
        },
      }
      return { ...options, processors: [penalty] }
    },
  }
}

/** Ends where a stop token is the last of its cycle, and overlooks one in the middle of an accepted run. */
function stopOverlooked(): Mutant {
  return {
    async generate(engine, { stopTokens = [], ...options }) {
      const tokens: Token[] = []
      const stream = engine.streamText(options)
      for await (const event of stream) {
        if (event.type !== 'text-delta') continue
        tokens.push(...event.tokens)
        if (stopTokens.includes(tokens.at(-1)!)) break
      }
      const { logProbs = [], ...result } = await engine.generateText({ ...options, speculate: false })
      const stopped = tokens.slice(0, stopTokens.includes(tokens.at(-1)!) ? -1 : undefined)
      return {
        ...result,
        tokens: Uint32Array.from(stopped),
        text: engine.tokenizer.decode(stopped, { skipSpecialTokens: true }),
        finishReason: stopped.length < tokens.length ? 'stop' : result.finishReason,
        logProbs: logProbs.slice(0, stopped.length),
      }
    },
  }
}

/** What a broken engine would do; each must be seen by the law. */
export const mutants = {
  rowCountInBits,
  noiseByCycle,
  unmaskedSlot,
  rejectedRowKept,
  prefixTooLong,
  penaltyOffByOne,
  stopOverlooked,
} satisfies Record<string, () => Mutant>

/** The head reads features of other positions: its guesses are worse, and nothing else. */
export function wrongFeatures(): Mutant {
  return {
    models: ({ target, draft }) => ({
      target,
      draft:
        draft &&
        override(draft, {
          begin: (contexts, options) =>
            draft.begin(
              contexts.map((context) => ({ ...context, featureRows: Array.from(context.featureRows, () => 0) })),
              options,
            ),
        }),
    }),
  }
}
