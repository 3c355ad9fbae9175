import { HassError, InvalidArgumentError } from '@hass-engine/core'
import { Environment, parse, tokenize } from '@huggingface/jinja'
import { TokenizerError } from './errors.js'
import { strftime } from './strftime.js'
import { BoundedInterpreter, type TemplateLimits } from './template-interpreter.js'

/** Longer templates are refused unread; the longest known have 20 000 characters. */
const maxSourceLength = 2 ** 18
/** The library's lexer takes the square of a run of white space. */
const maxWhitespaceRun = 512
const maxRange = 100_000

const reserved = ['true', 'false', 'none', 'True', 'False', 'None', 'range', 'namespace', 'raise_exception']

export interface RenderContext {
  /** Template variables: plain data, checked before. */
  readonly variables: Readonly<Record<string, unknown>>
  /** What `strftime_now` tells. */
  readonly now: Date
  /** What stands where a `{% generation %}` block begins and ends. */
  readonly generationMarks?: { readonly start: string; readonly end: string }
}

/** A parsed chat template (Jinja), rendered within bounds and without access to anything of the host. */
export class ChatTemplate {
  /** Whether the template marks the assistant's text itself, with `{% generation %}`. */
  readonly hasGenerationBlocks: boolean
  private readonly program: ReturnType<typeof parse>
  private readonly markNames: { readonly start: string; readonly end: string }

  /** @throws TokenizerError `HASS_ERR_TEMPLATE_SYNTAX` or `HASS_ERR_TEMPLATE_LIMIT` */
  constructor(
    source: string,
    private readonly limits: TemplateLimits = {},
  ) {
    if (source.length > maxSourceLength || new RegExp(`\\s{${maxWhitespaceRun + 1}}`).test(source)) {
      throw new TokenizerError(
        'templateLimit',
        `The chat template has ${source.length} characters; read are at most ${maxSourceLength}, with at most ${maxWhitespaceRun} white space in a row.`,
        { length: source.length, maxSourceLength, maxWhitespaceRun },
      )
    }
    let prefix = 'generation_mark'
    while (source.includes(prefix)) prefix += '_'
    this.markNames = { start: `${prefix}_start`, end: `${prefix}_end` }
    this.hasGenerationBlocks = generationTag.test(source)
    try {
      this.program = parse(tokenize(this.withVisibleMarks(source), { lstrip_blocks: true, trim_blocks: true }))
    } catch (cause) {
      throw new TokenizerError(
        'templateSyntax',
        `The chat template cannot be parsed: ${reasonOf(cause)}.`,
        {},
        { cause },
      )
    }
  }

  /** @throws TokenizerError `HASS_ERR_TEMPLATE_RENDER` or `HASS_ERR_TEMPLATE_LIMIT` */
  render(context: RenderContext): string {
    const environment = new Environment()
    const interpreter = new BoundedInterpreter(environment, this.limits)
    const globals: Record<string, unknown> = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      raise_exception: (message: unknown) => {
        throw new TokenizerError(
          'templateRender',
          `The chat template refuses the conversation: ${String(message).slice(0, 200)}`,
        )
      },
      range: (...bounds: unknown[]) => range(bounds, interpreter),
      strftime_now: (format: unknown) => strftime(context.now, String(format).slice(0, 200)),
      [this.markNames.start]: context.generationMarks?.start ?? '',
      [this.markNames.end]: context.generationMarks?.end ?? '',
    }
    for (const name of Object.keys(context.variables)) {
      if (!reserved.includes(name)) continue
      throw new InvalidArgumentError(`A template variable is called "${name}", a name that the language uses itself.`, {
        name,
      })
    }
    try {
      for (const [name, value] of Object.entries({ ...globals, ...context.variables })) environment.set(name, value)
      const text = interpreter.run(this.program).value as string
      interpreter.checkLength(text.length)
      return text
    } catch (cause) {
      if (HassError.isInstance(cause)) throw cause
      // The engine's own bounds: stack depth and string length.
      if (cause instanceof RangeError) {
        throw new TokenizerError('templateLimit', `The chat template is too deep or too large: ${reasonOf(cause)}.`, {
          what: 'engine',
        })
      }
      throw new TokenizerError('templateRender', `The chat template failed: ${reasonOf(cause)}.`, {}, { cause })
    }
  }

  /** Prints a variable where a generation block begins and ends; white space is treated as for any block. */
  private withVisibleMarks(source: string): string {
    return source.replace(new RegExp(generationTag, 'g'), (_, left: string, end: string | undefined, right: string) => {
      const name = end ? this.markNames.end : this.markNames.start
      return `{%${left} if true %}{{ ${name} }}{% endif ${right}%}`
    })
  }
}

const generationTag = /\{%(-?)\s*(end)?generation\s*(-?)%\}/

function reasonOf(cause: unknown): string {
  /* v8 ignore next -- parser and interpreter throw errors only */
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 200)
}

/** Python's `range`, charged by its length. */
function range(bounds: unknown[], interpreter: BoundedInterpreter): number[] {
  const numbers = bounds.map((bound) => (typeof bound === 'number' ? Math.trunc(bound) : Number.NaN))
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1]
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (!Number.isFinite(length)) {
    throw new TokenizerError('templateRender', 'The chat template calls range() with something other than numbers.')
  }
  if (length > maxRange) {
    throw new TokenizerError(
      'templateLimit',
      `The chat template asks for range() of ${length} numbers, at most ${maxRange} are given.`,
      {
        length,
        maxRange,
      },
    )
  }
  interpreter.spend(length)
  return Array.from({ length }, (_, i) => start + i * step)
}
