import { ResponseError } from '../errors.js'

export type JsonObject = Readonly<Record<string, unknown>>

/** @throws ResponseError */
export function parseObject(text: string, what: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ResponseError(`${what} is no JSON: ${shown(text)}`, { found: shown(text) }, cause)
  }
  return isObject(value) ? value : refuse(what, 'an object', value)
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The fields of answers: absent and null are the same; what is there must be of its type. */
export function objectField(from: JsonObject, name: string): JsonObject | undefined {
  const value = from[name] ?? undefined
  return value === undefined || isObject(value) ? value : refuse(name, 'an object', value)
}

export function arrayField(from: JsonObject, name: string): readonly unknown[] | undefined {
  const value = from[name] ?? undefined
  return value === undefined || Array.isArray(value) ? value : refuse(name, 'an array', value)
}

export function textField(from: JsonObject, name: string): string | undefined {
  const value = from[name] ?? undefined
  return value === undefined || typeof value === 'string' ? value : refuse(name, 'a text', value)
}

export function numberField(from: JsonObject, name: string): number | undefined {
  const value = from[name] ?? undefined
  return value === undefined || typeof value === 'number' ? value : refuse(name, 'a number', value)
}

export function countField(from: JsonObject, name: string): number | undefined {
  const value = numberField(from, name)
  return value === undefined || (Number.isSafeInteger(value) && value >= 0) ? value : refuse(name, 'a count', value)
}

export function tokensField(from: JsonObject, name: string): readonly number[] | undefined {
  return arrayField(from, name)?.map((id) => asToken(id, name))
}

export function asToken(value: unknown, name: string): number {
  const isToken = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32
  return isToken ? value : refuse(name, 'token ids', value)
}

export function refuse(name: string, expected: string, found: unknown): never {
  const text = shown(JSON.stringify(found) ?? String(found))
  throw new ResponseError(`The answer's ${name} is ${text}, expected ${expected}.`, { name, expected, found: text })
}

function shown(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
