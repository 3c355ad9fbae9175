import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type JsonValue, parseStrictJson } from './strict-json.js'

const parse = (text: string, isIntegersOnly = false) =>
  parseStrictJson(new TextEncoder().encode(text), { name: 'x.json', isIntegersOnly })

function plain(value: JsonValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}

describe('parseStrictJson', () => {
  it('agrees with JSON.parse about what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'medium' }), (value) => {
        const text = JSON.stringify(value)
        // Integers beyond 2^53 are refused on purpose.
        fc.pre(!/\d{16}/.test(text))
        expect(plain(parse(text))).toEqual(JSON.parse(text))
        expect(plain(parse(JSON.stringify(value, null, 2)))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('accepts nothing that JSON.parse refuses, and throws nothing but errors of ours', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ \n01.9eE+-truefalsnu') }), (text) => {
        let value: JsonValue
        try {
          value = parse(text)
        } catch (error) {
          expect(error).toHaveProperty('code')
          return
        }
        expect(plain(value)).toEqual(JSON.parse(text))
      }),
      { numRuns: 3000 },
    )
  })

  it('tells equal keys apart however they are written', () => {
    expect(() => parse('{"a":1,"\\u0061":2}')).toThrow(expect.objectContaining({ code: 'HASS_ERR_DUPLICATE_NAME' }))
    expect(parse('{"__proto__":1}')).toEqual(new Map([['__proto__', 1]]))
  })

  it('keeps integers exact', () => {
    expect(parse('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
    for (const text of ['9007199254740992', '9007199254740993', '-9007199254740993', '1e999']) {
      expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'HASS_ERR_JSON' }))
    }
    expect(parse('1e2')).toBe(100)
    expect(() => parse('1e2', true)).toThrow(/an integer/)
  })

  it.each([
    '',
    '{',
    '[',
    '"',
    '"\\',
    '[1',
    '[1,',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{a:1}',
    '[,]',
    '01',
    '1 2',
    '"\n"',
    'nul',
    '[1}',
    '\uFEFF1',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'HASS_ERR_JSON' }))
  })

  it('refuses what is not UTF-8', () => {
    expect(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22), { name: 'x' })).toThrow(/UTF-8/)
  })

  it('refuses deep nesting before the stack does', () => {
    expect(() => parse('['.repeat(1e5))).toThrow(expect.objectContaining({ code: 'HASS_ERR_JSON' }))
    expect(() => parse('{"a":'.repeat(1e5))).toThrow(expect.objectContaining({ code: 'HASS_ERR_JSON' }))
  })
})
