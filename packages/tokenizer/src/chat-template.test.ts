import { HassError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { ChatTemplate } from './chat-template.js'
import type { TemplateLimits } from './template-interpreter.js'

const now = new Date(2024, 6, 4, 9, 5, 7)

function render(source: string, variables: Record<string, unknown> = {}, limits?: TemplateLimits): string {
  return new ChatTemplate(source, limits).render({ variables, now })
}

function refusalOf(run: () => unknown): HassError | undefined {
  try {
    run()
  } catch (error) {
    if (HassError.isInstance(error)) return error
    throw error
  }
  return undefined
}

function codeOf(run: () => unknown): string | undefined {
  return refusalOf(run)?.code
}

describe('rendering', () => {
  it('knows what chat templates use', () => {
    const messages = [
      { role: 'user', content: ' hi ' },
      { role: 'assistant', content: 'a</think>b' },
    ]
    expect(
      render("{% for m in messages %}{{ m['role'] + ':' + m.content | trim + '\\n' }}{% endfor %}", { messages }),
    ).toBe('user:hi\nassistant:a</think>b\n')
    expect(render("{{ messages[-1].content.split('</think>')[-1] }}", { messages })).toBe('b')
    expect(
      render(
        '{% set ns = namespace(n=0) %}{% for i in range(2, 8, 2) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}',
      ),
    ).toBe('12')
    expect(render('{{ {"a": [1, {"b": "é"}]} | tojson }}|{{ {"a": 1} | tojson(indent=2) }}')).toBe(
      '{"a": [1, {"b": "é"}]}|{\n  "a": 1\n}',
    )
    expect(render("{{ 'a-b-c'.replace('-', '+') }} {{ 'a-b' | replace('-', '') }} {{ ['x', 'y'] | join(', ') }}")).toBe(
      'a+b+c ab x, y',
    )
    expect(
      render("{% filter upper %}a{{ 'b' }}{% endfilter %} {{ 'a\nb' | indent(2) }} {{ [3, 1] | sort | first }}"),
    ).toBe('AB a\n  b 1')
    expect(render("{% macro f(x, y='!') %}{{ x ~ y }}{% endmacro %}{{ f('a') }}{{ f('b', y='?') }}")).toBe('a!b?')
    expect(render("{{ 'x' in 'axb' }} {{ 'k' in {'k': 1} }} {{ 2 not in [1, 2] }} {{ 'abc'[1:] }}")).toBe(
      'true true false bc',
    )
    expect(render("{% for x in [1, 2, 3] if x != 2 %}{{ x }}{% endfor %}{{ [1, 2] | join(*['-']) }}{{ dict }}")).toBe(
      '131-2',
    )
    expect(render("{{ strftime_now('%d %b %Y %H:%M:%S %B %A %a %y %m %q %%') }}")).toBe(
      '04 Jul 2024 09:05:07 July Thursday Thu 24 07 %q %',
    )
    expect(render("{{ 'a b  c'.split() | length }}{{ 'a,b'.split(',') | join(separator='') }}")).toBe('3ab')
  })

  it('counts down and steps in range', () => {
    expect(render('{{ range(3, 0, -1) | join }} {{ range(2) | join }} {{ range(5, 2) | length }}')).toBe('321 01 0')
  })

  it('marks generation blocks, white space as for any block', () => {
    const source = 'a\n  {% generation %}\nb\n{%- endgeneration -%}\n c'
    const template = new ChatTemplate(source)
    expect(template.hasGenerationBlocks).toBe(true)
    expect(template.render({ variables: {}, now })).toBe('a\nbc')
    expect(template.render({ variables: {}, now, generationMarks: { start: '<', end: '>' } })).toBe('a\n<b>c')
  })

  it('is refused by the template itself', () => {
    expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(/roles must alternate/)
    expect(codeOf(() => render("{{ raise_exception('no') }}"))).toBe('HASS_ERR_TEMPLATE_RENDER')
  })

  it('keeps the names of the language', () => {
    expect(codeOf(() => render('x', { range: 1 }))).toBe('HASS_ERR_INVALID_ARGUMENT')
  })
})

describe('hostile templates', () => {
  it.each([
    "{{ x.constructor.constructor('return process')() }}",
    "{{ ''.constructor.constructor('return process')() }}",
    '{{ [].__proto__.push(1) }}',
    "{{ ''.__class__.__mro__ }}{{ ''.__class__() }}",
    "{{ range.constructor('return 1')() }}",
    "{{ messages['__proto__']['polluted']() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
  ])('reach nothing of the host: %s', (source) => {
    expect(['HASS_ERR_TEMPLATE_RENDER']).toContain(codeOf(() => render(source, { x: {}, messages: [] })))
  })

  const grow = (doublings: number) =>
    `{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(${doublings}) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`
  const chain = (count: number, link: (from: number, to: number) => string) =>
    Array.from({ length: count }, (_, i) => link(i, i + 1)).join('')
  const doubledArrays = (count: number) => chain(count, (from, to) => `{% set a${to} = [a${from}, a${from}] %}`)
  /** A string `ns.s` of 65 536 letters: far below every limit, and so are its uses without what each case is about. */
  const grown = grow(12)

  it('are not stopped before they become hostile', () => {
    const harmless = `${grown}{% for i in range(150) %}{{ ns.s | length }}{% set x = [ns.s] %}{% endfor %}`
    expect(render(harmless)).toBe('65536'.repeat(150))
  })

  it.each([
    ['length', 'a doubled string', grow(60).replace('= ns.s + ns.s', '= ns.s ~ ns.s'), { maxSteps: 1e9 }],
    ['steps', 'a doubled string', grow(60)],
    ['steps', 'many ranges', '{% for i in range(20000) %}{% for j in range(20000) %}{% endfor %}{% endfor %}'],
    ['steps', 'nested loops', `${'{% for i in range(1000) %}'.repeat(5)}x${'{% endfor %}'.repeat(5)}`],
    [
      'steps',
      'loops around nothing',
      '{% set x = range(1000) %}{% for i in range(1000) %}{% for j in x %}{% endfor %}{% endfor %}',
    ],
    ['length', 'output', `${grown}{% for i in range(300) %}{{ ns.s }}{% endfor %}`],
    ['length', 'replace', `${grown}{{ ns.s.replace('a', ns.s) | length }}`],
    ['length', 'replace as filter', `${grown}{{ ns.s | replace('a', ns.s) }}`],
    ['length', 'replace by another name', `${grown}{% set f = ns.s['rep' ~ 'lace'] %}{{ f('a', ns.s) }}`],
    ['length', 'replace of nothing', `${grown}{{ ns.s | replace('', ns.s) }}`],
    ['length', 'replace by a block', `${grown}{% filter replace('a', ns.s) %}{{ ns.s }}{% endfilter %}`],
    ['length', 'join', `${grown}{{ range(10000) | join(ns.s) }}`],
    ['length', 'join of letters', `${grown}{{ ns.s | join(ns.s) }}`],
    ['length', 'join with a named separator', `${grown}{{ range(10000) | join(separator=ns.s) }}`],
    ['length', 'join with spread arguments', `${grown}{{ range(10000) | join(*[ns.s]) }}`],
    ['length', 'join with a spread mapping', `${grown}{{ range(10000) | join(**{'separator': ns.s}) }}`],
    ['length', 'indent', "{{ 'a\nb' | indent(10**9) }}"],
    ['length', 'indent of many lines', `${grown}{{ (ns.s | replace('a', '\n')) | indent(width=1000) }}`],
    ['length', 'json indent', '{{ [[[1]]] | tojson(indent=10**8) }}'],
    ['length', 'json separators', `${grown}{{ range(10000) | tojson(separators=(ns.s, ns.s)) }}`],
    ['steps', 'split', `${grown}{% for i in range(20) %}{% set x = ns.s.split('a') %}{% endfor %}`],
    [
      'steps',
      'split at white space',
      `${grown}{% set w = ns.s | replace('a', 'a ') %}{% for i in range(20) %}{% set x = w.split() %}{% endfor %}`,
    ],
    ['steps', 'search', `${grown}{% set n = 'b' + ns.s %}{% for i in range(3) %}{{ n in ns.s + ns.s }}{% endfor %}`],
    ['steps', 'slices', `${grown}{% for i in range(150) %}{% set x = ns.s[1:] %}{% endfor %}`],
    [
      'steps',
      'sorting',
      `${grown}{% for i in range(60) %}{% set x = [ns.s + 'b', ns.s + 'c', ns.s] | sort %}{% endfor %}`,
    ],
    ['length', 'a doubled array', `{% set a0 = [1] %}${doubledArrays(60)}{{ a60 }}`],
    [
      'steps',
      'doubled namespaces',
      `{% set n0 = namespace(a=1) %}${chain(60, (from, to) => `{% set n${to} = namespace(a=n${from}, b=n${from}) %}`)}{{ n60 | tojson }}`,
    ],
    [
      'steps',
      'arrays of namespaces',
      `{% set ns = namespace(a=1) %}{% set a0 = [ns] %}${doubledArrays(22)}{% for i in range(1000) %}{{ a22 | length }}{% endfor %}`,
    ],
    ['engine', 'a namespace in itself', '{% set ns = namespace(a=1) %}{% set ns.a = ns %}{{ ns | string }}'],
    ['depth', 'endless recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    [
      'steps',
      'exponential recursion',
      '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}',
    ],
    [
      'steps',
      'macros in loops',
      `{% for i in range(200) %}{% macro f() %}${"{{ {'a': b} }}".repeat(2000)}{% endmacro %}{% endfor %}`,
    ],
  ] as [string, string, string, TemplateLimits?][])('are stopped by %s: %s', (what, _, source, limits) => {
    const start = process.cpuUsage()
    expect(refusalOf(() => render(source, {}, limits))).toMatchObject({
      code: 'HASS_ERR_TEMPLATE_LIMIT',
      details: { what },
    })
    const { user, system } = process.cpuUsage(start)
    expect(user + system).toBeLessThan(10_000_000)
  })

  it.each([
    ['a range', '{% for i in range(10**9) %}{% endfor %}'],
    ['a long template', 'x'.repeat(2 ** 18 + 1)],
    ['white space', ' '.repeat(200_000)],
  ])('are refused at once: %s', (_, source) => {
    expect(codeOf(() => render(source))).toBe('HASS_ERR_TEMPLATE_LIMIT')
  })

  it.each([
    "{{ range('x') }}",
    '{{ range() }}',
    '{{ range(1, 5, 0) }}',
    '{{ 5 | indent }}',
    "{{ 'a' | indent('x') }}",
    "{{ [1] | replace('a', 'b') }}",
    "{{ 'a' | join(*5) }}",
    "{{ 'a' | join(**5) }}",
    '{{ 5 in 5 }}',
  ])('fail on operands of the wrong type: %s', (source) => {
    expect(codeOf(() => render(source))).toBe('HASS_ERR_TEMPLATE_RENDER')
  })

  it.each([
    '{{ (',
    '{% if %}',
    '{% for x %}',
    `{{ ${'('.repeat(50_000)} }}`,
    '{% nonsense %}',
    '{{ "a" ',
    "{{ '\\q' }}",
  ])('are refused when they cannot be parsed: %.20s', (source) => {
    expect(codeOf(() => render(source))).toBe('HASS_ERR_TEMPLATE_SYNTAX')
  })

  it('obey the limits given', () => {
    const source = '{% for i in range(50) %}{{ i }}{% endfor %}'
    expect(render(source).length).toBe(90)
    expect(codeOf(() => render(source, {}, { maxSteps: 20 }))).toBe('HASS_ERR_TEMPLATE_LIMIT')
    expect(render("{{ 'aaaa' }}bbbb", {}, { maxLength: 8 })).toBe('aaaabbbb')
    expect(codeOf(() => render("{{ 'aaaa' }}bbbb", {}, { maxLength: 7 }))).toBe('HASS_ERR_TEMPLATE_LIMIT')
    expect(codeOf(() => render('{{ ((((1)))) + (2 + (3 + 4)) }}', {}, { maxDepth: 3 }))).toBe('HASS_ERR_TEMPLATE_LIMIT')
  })
})
