import { shown, WeightsError } from '../errors.js'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
/** A map, so that `__proto__` is a key like any other. */
export type JsonObject = ReadonlyMap<string, JsonValue>

export interface StrictJsonOptions {
  /** The file's name, for messages. */
  readonly name: string
  /** Refuses fractions and exponents: what is a count must be written as one. Defaults to false. */
  readonly isIntegersOnly?: boolean
}

/** Deeper than any published header or configuration, shallow enough for the stack. */
const maxDepth = 64

const whitespace = /[ \t\n\r]*/y
const numberText = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const keyword = /true|false|null/y

/**
 * Parses JSON from files that nobody vouches for: UTF-8 must be valid, keys must not repeat, and integers must be
 * exact. `JSON.parse` keeps the last of two equal keys and turns 9007199254740993 into …992 in silence.
 *
 * @throws WeightsError `HASS_ERR_JSON`, `HASS_ERR_DUPLICATE_NAME`
 */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions): JsonValue {
  return new Parser(decodeUtf8(bytes, options.name), options).parse()
}

function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new WeightsError('HASS_ERR_JSON', `${name} holds JSON that is not valid UTF-8.`, { file: name }, cause)
  }
}

class Parser {
  private at = 0

  constructor(
    private readonly text: string,
    private readonly options: StrictJsonOptions,
  ) {}

  parse(): JsonValue {
    const value = this.value(0)
    this.skipWhitespace()
    if (this.at < this.text.length) this.fail('the end')
    return value
  }

  private value(depth: number): JsonValue {
    if (depth > maxDepth) this.fail(`at most ${maxDepth} nested values`)
    this.skipWhitespace()
    switch (this.text[this.at]) {
      case '{':
        return this.object(depth)
      case '[':
        return this.array(depth)
      case '"':
        return this.string()
      default:
        return this.numberOrKeyword()
    }
  }

  private object(depth: number): JsonObject {
    const object = new Map<string, JsonValue>()
    this.members('}', () => {
      const key = this.string()
      if (object.has(key)) {
        throw new WeightsError(
          'HASS_ERR_DUPLICATE_NAME',
          `${this.options.name} has the key ${shown(key)} twice: which of the two is meant cannot be known.`,
          { file: this.options.name, name: key },
        )
      }
      this.skipWhitespace()
      this.expect(':')
      object.set(key, this.value(depth + 1))
    })
    return object
  }

  private array(depth: number): JsonValue[] {
    const array: JsonValue[] = []
    this.members(']', () => array.push(this.value(depth + 1)))
    return array
  }

  /** The comma-separated inside of an object or array, from its opening to its closing bracket. */
  private members(closing: string, readMember: () => void): void {
    this.at++
    this.skipWhitespace()
    if (this.text[this.at] === closing) {
      this.at++
      return
    }
    for (;;) {
      this.skipWhitespace()
      readMember()
      this.skipWhitespace()
      if (this.text[this.at] === closing) {
        this.at++
        return
      }
      this.expect(',')
    }
  }

  private string(): string {
    const start = this.at
    this.expect('"')
    while (this.at < this.text.length && this.text[this.at] !== '"') this.at += this.text[this.at] === '\\' ? 2 : 1
    this.expect('"')
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string
    } catch {
      this.at = start
      this.fail('a string')
    }
  }

  private numberOrKeyword(): JsonValue {
    const word = this.match(keyword)
    if (word) return JSON.parse(word[0]) as boolean | null
    const number = this.match(numberText)
    if (!number) this.fail('a value')
    const [text, fraction, exponent] = number
    const isInteger = fraction === undefined && exponent === undefined
    const value = Number(text)
    const isExact = isInteger ? Number.isSafeInteger(value) : Number.isFinite(value) && !this.options.isIntegersOnly
    if (isExact) return value
    throw new WeightsError(
      'HASS_ERR_JSON',
      `${this.options.name} has the number ${text.slice(0, 40)}, expected ${
        isInteger || this.options.isIntegersOnly ? 'an integer of at most 2^53 - 1' : 'a finite number'
      }.`,
      { file: this.options.name, number: text },
    )
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match) this.at = pattern.lastIndex
    return match
  }

  private skipWhitespace(): void {
    this.match(whitespace)
  }

  private expect(character: string): void {
    if (this.text[this.at] !== character) this.fail(`"${character}"`)
    this.at++
  }

  private fail(expected: string): never {
    const found = this.at < this.text.length ? shown(this.text.slice(this.at, this.at + 12)) : 'the end'
    throw new WeightsError(
      'HASS_ERR_JSON',
      `${this.options.name} holds malformed JSON: found ${found} at character ${this.at}, expected ${expected}.`,
      { file: this.options.name, at: this.at },
    )
  }
}
