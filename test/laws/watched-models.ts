import { createHash } from 'node:crypto'
import type { LogitsRows, SequenceStep, TargetOutput, Token } from '@hass-engine/core'
import type { DeviceDraftHead, DeviceSequence, DeviceTargetModel } from '@hass-engine/models'

/** An object with some members replaced; the rest is the original's, private state included. */
export function override<T extends object>(original: T, members: Partial<T>): T {
  return new Proxy(original, {
    get(object, key) {
      if (key in members) return members[key as keyof T]
      const value = Reflect.get(object, key, object)
      return typeof value === 'function' ? value.bind(object) : value
    },
  })
}

/** Stages of a generation at which something may happen, as the models see them. */
export type Stage = 'prefill' | 'draft' | 'verify'

/** Calls back before each pass of a stage; `hasReadPrompt` for the one that reads the end of a prompt. */
export function tellStages(
  models: { readonly target: DeviceTargetModel; readonly draft: DeviceDraftHead | undefined },
  onStage: (stage: Stage, hasReadPrompt: boolean) => void,
): { readonly target: DeviceTargetModel; readonly draft: DeviceDraftHead | undefined } {
  const { target, draft } = models
  return {
    target: override(target, {
      forward(steps, options) {
        const [asked = 'all'] = steps.map(({ logits }) => logits)
        onStage(asked === 'all' ? 'verify' : 'prefill', asked === 'last')
        return target.forward(steps, options)
      },
    }),
    draft:
      draft &&
      override(draft, {
        begin(contexts, options) {
          onStage('draft', false)
          return draft.begin(contexts, options)
        },
      }),
  }
}

/**
 * Remembers the bits of every row of logits that a choice was made from, by the tokens before the choice: they, and
 * nothing else, decide them. Rows of one text that differ are an error at once.
 */
export class LogitsRecorder {
  readonly #bits = new Map<string, string>()
  readonly #committed = new WeakMap<DeviceSequence, readonly Token[]>()

  /** The bits of the logits after these tokens; undefined if nobody has looked at them. */
  after(tokens: readonly Token[]): string | undefined {
    return this.#bits.get(tokens.join())
  }

  watch(target: DeviceTargetModel): DeviceTargetModel {
    return override(target, {
      createSequence: () => this.#watchSequence(target.createSequence(), []),
      forward: async (steps, options) => {
        const outputs = await target.forward(steps, options)
        return steps.map((step, i) => this.#watchOutput(step, outputs[i]!))
      },
    })
  }

  #watchSequence(sequence: DeviceSequence, tokens: readonly Token[]): DeviceSequence {
    this.#committed.set(sequence, tokens)
    const fork = sequence.fork.bind(sequence)
    sequence.fork = (options) => {
      const shared = this.#committed.get(sequence)!.slice(0, options?.length)
      return this.#watchSequence(fork(options), shared)
    }
    return sequence
  }

  #watchOutput(step: SequenceStep, { logits, features }: TargetOutput): TargetOutput {
    const sequence = step.sequence as DeviceSequence
    const committed = this.#committed.get(sequence)!
    const commit = Object.getPrototypeOf(sequence).commit as DeviceSequence['commit']
    const inherited = Object.hasOwn(sequence, 'commit') ? sequence.commit : commit
    sequence.commit = (rows) => {
      inherited.call(sequence, rows)
      this.#committed.set(sequence, [...committed, ...Array.from(rows, (row) => step.tokens[row]!)])
      sequence.commit = inherited
    }
    const record = async (row: number) => {
      const path: Token[] = []
      for (let at = row; at >= 0; at = step.parents[at]!) path.unshift(step.tokens[at]!)
      const context = [...committed, ...path].join()
      const bits = createHash('md5')
        .update(new Uint8Array((await logits.read(row)).buffer))
        .digest('hex')
      const known = this.#bits.get(context)
      if (known !== undefined && known !== bits) throw new Error(`The logits after ${context} have changed their bits.`)
      this.#bits.set(context, bits)
    }
    const watched: LogitsRows = {
      rows: logits.rows,
      vocabSize: logits.vocabSize,
      argMax: async (row) => {
        await record(row)
        return logits.argMax(row)
      },
      gumbelArgMax: async (row, choice) => {
        await record(row)
        return logits.gumbelArgMax(row, choice)
      },
      read: async (row) => {
        await record(row)
        return logits.read(row)
      },
    }
    return { logits: watched, features }
  }
}
