import { type ChatMessage, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import { ChatTemplate, type RenderContext } from './chat-template.js'
import { TokenizerError } from './errors.js'
import { mapStrings } from './marks.js'
import type { TemplateLimits } from './template-interpreter.js'

export interface ChatOptions {
  /** Ends with the header of an assistant's turn, for the model to continue. Defaults to false. */
  readonly addGenerationPrompt?: boolean
  /** Functions that the model may call, as JSON schemas; what they look like is the template's business. */
  readonly tools?: readonly unknown[]
  /** Texts to answer from, for templates that know them. */
  readonly documents?: readonly unknown[]
  /** Further template variables, such as `{ enable_thinking: false }`. Plain data. */
  readonly variables?: Readonly<Record<string, unknown>>
  /** The time that `strftime_now` tells. Defaults to now. */
  readonly now?: Date
}

export const chatOptionKeys = ['addGenerationPrompt', 'tools', 'documents', 'variables', 'now']

/** Sources of chat templates by name; a model with one template has `default` only. */
export type ChatTemplateSources = ReadonlyMap<string, string>

/** How a rendering departs from the plain one, in order to find places in it. */
export interface RenderMarks {
  /** Changes every string of messages, tools and documents. */
  readonly mapText?: (text: string) => string
  readonly generation?: RenderContext['generationMarks']
}

/** Renders conversations with a model's templates, which are parsed once, when first used. */
export class ChatRenderer {
  private readonly parsed = new Map<string, ChatTemplate>()

  /**
   * @param specialTokenTexts template variables such as `bos_token`
   */
  constructor(
    private readonly sources: ChatTemplateSources,
    private readonly specialTokenTexts: Readonly<Record<string, string>>,
    private readonly limits: TemplateLimits,
  ) {}

  get isAvailable(): boolean {
    return this.sources.size > 0
  }

  hasGenerationBlocks(options: ChatOptions): boolean {
    return this.template(options).hasGenerationBlocks
  }

  /** @throws InvalidArgumentError for messages that are no plain data with roles; TokenizerError `HASS_ERR_TEMPLATE_…` */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}, marks: RenderMarks = {}): string {
    checkOptionKeys(options, chatOptionKeys, 'renderChat')
    checkMessages(messages)
    const { addGenerationPrompt = false, tools, documents, variables = {}, now = new Date() } = options
    const mapText = marks.mapText ?? ((text: string) => text)
    return this.template(options).render({
      variables: {
        ...this.specialTokenTexts,
        messages: mapStrings(messages, mapText, 'messages'),
        // Templates ask `tools is none`: absent must not be undefined.
        tools: tools === undefined ? null : mapStrings(tools, mapText, 'tools'),
        documents: documents === undefined ? null : mapStrings(documents, mapText, 'documents'),
        add_generation_prompt: addGenerationPrompt,
        ...mapStrings(variables, (text) => text, 'variables'),
      },
      now,
      ...(marks.generation ? { generationMarks: marks.generation } : {}),
    })
  }

  private template(options: ChatOptions): ChatTemplate {
    const name = options.tools && this.sources.has('tool_use') ? 'tool_use' : 'default'
    const source = this.sources.get(name)
    if (source === undefined) {
      throw new TokenizerError(
        'templateMissing',
        'This tokenizer has no chat template; pass one as chatTemplate, or encode the text that you composed yourself.',
        { name, templates: [...this.sources.keys()] },
      )
    }
    let template = this.parsed.get(name)
    if (!template) {
      template = new ChatTemplate(source, this.limits)
      this.parsed.set(name, template)
    }
    return template
  }
}

function checkMessages(messages: unknown): void {
  if (!Array.isArray(messages)) {
    throw new InvalidArgumentError(`messages is a ${typeof messages}, expected an array of messages.`, {
      found: typeof messages,
    })
  }
  messages.forEach((message: unknown, index) => {
    if (typeof (message as ChatMessage | null)?.role === 'string') return
    throw new InvalidArgumentError(`messages[${index}] has no role, expected { role: string, content: string }.`, {
      index,
    })
  })
}
