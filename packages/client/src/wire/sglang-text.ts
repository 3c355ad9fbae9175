import { refuse } from './json.js'

/** So many events in a row each begin with the whole text of the one before: that is no accident. */
const extensionsToDecide = 4

/** Characters to take off the end of the text, then text to add. */
export interface TextChange {
  readonly text: string
  readonly takenBack: number
}

/**
 * Turns the `text` of SGLang's events into what is new in each.
 *
 * By default each event repeats the whole text. Where the ids are only the new ones, the text is too
 * (`--incremental-streaming-output`), except in versions whose `--stream-output` shortened the ids alone. The events
 * do not say which; the first that does not begin with the one before does, and until then text is held back.
 */
export class SglangText {
  #whole = ''
  #mode: 'unknown' | 'whole' | 'new' = 'unknown'
  /** Texts of events since the first, while the mode is unknown. */
  #pieces: string[] = []

  /** True once it is known that events hold what is new only. */
  get isIncremental(): boolean {
    return this.#mode === 'new'
  }

  /**
   * @param hasNewIdsOnly true if the event's ids are fewer than the tokens so far
   * @returns what is new; empty while that cannot be told. The last event may be shorter than the one before: what
   * belonged to a stop text is taken back
   */
  take(text: string, hasNewIdsOnly: boolean, isLast: boolean): TextChange {
    if (this.#mode === 'new') return { text, takenBack: 0 }
    const isPlain = this.#mode === 'whole' || (!hasNewIdsOnly && this.#pieces.length === 0)
    if (isPlain) return this.#extend(text, isLast)
    this.#pieces.push(text)
    return this.#decide(isLast)
  }

  #decide(isLast: boolean): TextChange {
    const pieces = this.#pieces
    if (!pieces.every((piece, index) => piece.startsWith(pieces[index - 1] ?? this.#whole))) {
      this.#mode = 'new'
      return { text: pieces.join(''), takenBack: 0 }
    }
    if (!isLast && pieces.length < extensionsToDecide) return { text: '', takenBack: 0 }
    this.#mode = 'whole'
    return this.#extend(pieces.at(-1)!, isLast)
  }

  #extend(text: string, isLast: boolean): TextChange {
    const before = this.#whole
    this.#whole = text
    if (text.startsWith(before)) return { text: text.slice(before.length), takenBack: 0 }
    if (isLast && before.startsWith(text)) return { text: '', takenBack: before.length - text.length }
    return refuse('text', `the text so far and more (…${JSON.stringify(before.slice(-40))})`, text.slice(-80))
  }
}
