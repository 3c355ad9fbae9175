import type { ChatMessage, Token } from '@hass-engine/core'
import type { ChatOptions, ChatRenderer } from './chat.js'
import { TokenizerError } from './errors.js'
import { takeOutMarks, unusedMarks } from './marks.js'
import type { TextEncoding } from './text-encoder.js'

/** A stretch of a rendered chat, in UTF-16 units; the end is excluded. */
export interface TextSpan {
  readonly start: number
  readonly end: number
}

/** What the assistant said, before it is known which tokens end its turns. */
export interface AssistantTurn extends TextSpan {
  /** An end-of-turn token beginning before this place belongs to the turn; absent if the span is the whole turn. */
  readonly endTokenBefore?: number
}

/**
 * Finds the assistant's turns in a rendered chat.
 *
 * A template with `{% generation %}` blocks says it itself. Otherwise the template is asked, by rendering variants:
 * a turn begins where the rendering of the messages before it ends when it ends with the generation prompt (that is
 * where a model would take over), or else where a mark put before the message's content comes out; its content ends
 * where a mark put behind it comes out. A variant counts only if it equals the chat but for its mark.
 *
 * @param text the rendered chat
 * @throws TokenizerError `HASS_ERR_LOSS_MASK` if neither way decides
 */
export function findAssistantTurns(
  renderer: ChatRenderer,
  messages: readonly ChatMessage[],
  options: ChatOptions,
  text: string,
): AssistantTurn[] {
  const plain = { ...options, addGenerationPrompt: false }
  if (renderer.hasGenerationBlocks(options)) return generationBlocks(renderer, messages, options, text)
  const probe = new TurnProbe(renderer, messages, plain, text)
  const turns: AssistantTurn[] = []
  messages.forEach((message, index) => {
    if (message.role !== 'assistant') return
    const start = probe.turnStart(index)
    const end = probe.contentEnd(index) ?? (message.content ? undefined : start)
    const isOrdered = start !== undefined && end !== undefined && start <= end && start >= (turns.at(-1)?.end ?? 0)
    if (!isOrdered) throw undecided(index)
    turns.push({ start, end, endTokenBefore: probe.nextContentStart(index, end) })
  })
  return turns
}

/** `[tokens] uint8`: 1 for tokens that hold a part of a turn, or that end one. */
export function maskOfTurns(
  turns: readonly AssistantTurn[],
  encoding: Required<TextEncoding>,
  isEnd: (id: Token) => boolean,
): Uint8Array {
  const { ids, offsets } = encoding
  const mask = new Uint8Array(ids.length)
  let first = 0
  for (const turn of turns) {
    while (first < ids.length && offsets[2 * first + 1]! <= turn.start) first++
    let token = first
    while (token < ids.length && offsets[2 * token]! < turn.end) token++
    for (let next = token; next < ids.length && offsets[2 * next]! < (turn.endTokenBefore ?? 0); next++) {
      if (!isEnd(ids[next]!)) continue
      token = next + 1
      break
    }
    mask.fill(1, first, token)
    first = token
  }
  return mask
}

function generationBlocks(
  renderer: ChatRenderer,
  messages: readonly ChatMessage[],
  options: ChatOptions,
  text: string,
): AssistantTurn[] {
  const [start, end] = unusedMarks(2, [messages, options.tools, options.variables]) as [string, string]
  const marked = takeOutMarks(renderer.render(messages, options, { generation: { start, end } }), [start, end])
  const turns: AssistantTurn[] = []
  marked.places.forEach(({ mark, at }, index) => {
    const isStart = index % 2 === 0
    if (mark !== (isStart ? start : end)) throw undecided(index)
    if (!isStart) turns.push({ start: marked.places[index - 1]!.at, end: at })
  })
  if (marked.text !== text || marked.places.length % 2 !== 0) throw undecided(-1)
  return turns
}

/** Renders variants of one chat to learn where its messages stand. */
class TurnProbe {
  private readonly mark: string

  constructor(
    private readonly renderer: ChatRenderer,
    private readonly messages: readonly ChatMessage[],
    private readonly options: ChatOptions,
    private readonly text: string,
  ) {
    this.mark = unusedMarks(1, [messages, options.tools, options.documents, options.variables])[0]!
  }

  turnStart(index: number): number | undefined {
    const before = this.messages.slice(0, index)
    const prompted = this.tryRender(before, { ...this.options, addGenerationPrompt: true })
    const isPrefix = prompted !== undefined && this.text.startsWith(prompted)
    // A template without generation prompt would leave the turn's header to the assistant: ask for the content first.
    const hasPrompt = isPrefix && prompted !== this.tryRender(before, this.options)
    if (hasPrompt) return prompted.length
    return this.contentStart(index) ?? (isPrefix ? prompted.length : undefined)
  }

  contentEnd(index: number): number | undefined {
    const content = this.content(index)
    return this.place(index, [content + this.mark, content.trimEnd() + this.mark])
  }

  /** Where the next message's content stands, or the end of the text. */
  nextContentStart(index: number, from: number): number {
    for (let next = index + 1; next < this.messages.length; next++) {
      const start = this.contentStart(next)
      if (start !== undefined && start > from) return start
    }
    return this.text.length
  }

  private contentStart(index: number): number | undefined {
    const content = this.content(index)
    // Templates drop the reasoning of earlier turns: then the content begins behind it.
    const behindReasoning = content.lastIndexOf('</think>') + '</think>'.length
    const [reasoning, answer] = [content.slice(0, behindReasoning), content.slice(behindReasoning)]
    return this.place(index, [
      this.mark + content,
      this.mark + content.trimStart(),
      ...(content.includes('</think>') ? [reasoning + this.mark + answer.trimStart()] : []),
    ])
  }

  private content(index: number): string {
    const content: unknown = this.messages[index]!.content
    return typeof content === 'string' ? content : ''
  }

  /** Where the mark comes out, for the first of these contents that leaves the chat the same otherwise. */
  private place(index: number, contents: readonly string[]): number | undefined {
    for (const content of contents) {
      const messages = this.messages.with(index, { ...this.messages[index]!, content })
      const rendered = this.tryRender(messages, this.options)
      const marked = rendered === undefined ? undefined : takeOutMarks(rendered, [this.mark])
      if (marked?.text === this.text && marked.places.length === 1) return marked.places[0]!.at
    }
    return undefined
  }

  /** A template may refuse a part of a chat (`raise_exception`): then that way of asking has no answer. */
  private tryRender(messages: readonly ChatMessage[], options: ChatOptions): string | undefined {
    try {
      return this.renderer.render(messages, options)
    } catch (error) {
      if (error instanceof TokenizerError && error.code === 'HASS_ERR_TEMPLATE_RENDER') return undefined
      throw error
    }
  }
}

function undecided(index: number): TokenizerError {
  return new TokenizerError(
    'lossMask',
    `It cannot be told which part of the rendered chat is ${index < 0 ? 'the assistant' : `message ${index}`}'s: the template changes the content or the order of messages. ` +
      'Mark the assistant in the template with {% generation %} … {% endgeneration %}.',
    { message: index },
  )
}
