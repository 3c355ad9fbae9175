import { HassError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { ChatTemplate } from './chat-template.js'
import type { TemplateLimits } from './template-interpreter.js'

const now = new Date(2024, 6, 4, 9, 5, 7)

function render(source: string, variables: Record<string, unknown> = {}, limits?: TemplateLimits): string {
  return new ChatTemplate(source, limits).render({ variables, now })
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return HassError.isInstance(error) ? error.code : `untyped: ${error}`
  }
  return 'no error'
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

  const doubled =
    "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(N) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"
  const grown = doubled.replace('N', '20')
  it.each([
    ['a range', '{% for i in range(10**9) %}{% endfor %}'],
    ['many ranges', '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}'],
    ['nested loops', `${'{% for i in range(1000) %}'.repeat(5)}x${'{% endfor %}'.repeat(5)}`],
    ['a doubled string', doubled.replace('N', '60')],
    ['output', `${grown}{% for i in range(1000) %}{{ ns.s }}{% endfor %}`],
    ['replace', `${grown}{{ ns.s.replace('a', ns.s) | length }}`],
    ['replace as filter', `${grown}{{ ns.s | replace('a', ns.s) }}`],
    ['replace by another name', `${grown}{% set f = ns.s['rep' ~ 'lace'] %}{{ f('a', ns.s) }}`],
    ['replace of nothing', `${grown}{{ ns.s | replace('', ns.s) }}`],
    ['replace by a block', `${grown}{% filter replace('a', ns.s) %}{{ ns.s }}{% endfilter %}`],
    ['join', `${grown}{{ range(10000) | join(ns.s) }}`],
    ['join of letters', `${grown}{{ ns.s | join(ns.s) }}`],
    ['join with spread arguments', `${grown}{{ range(10000) | join(*[ns.s]) }}`],
    ['join with a spread mapping', `${grown}{{ range(10000) | join(**{'separator': ns.s}) }}`],
    ['indent', "{{ 'a\nb' | indent(10**9) }}"],
    ['json indent', '{{ [[[1]]] | tojson(indent=10**8) }}'],
    ['json separators', `${grown}{{ range(10000) | tojson(separators=(ns.s, ns.s)) }}`],
    ['split', `${grown}{% for i in range(100) %}{% set x = ns.s.split('a') %}{% endfor %}`],
    [
      'split at white space',
      `${grown}{% for i in range(300) %}{% set x = (ns.s | replace('a', 'a ')).split() %}{% endfor %}`,
    ],
    ['search', `${grown}{% set n = 'b' + ns.s %}{% for i in range(1000) %}{{ n in ns.s + ns.s }}{% endfor %}`],
    ['slices', `${grown}{% for i in range(1000) %}{% set x = ns.s[1:] %}{% endfor %}`],
    [
      'a doubled array',
      `{% set a0 = [1] %}${Array.from({ length: 60 }, (_, i) => `{% set a${i + 1} = [a${i}, a${i}] %}`).join('')}{{ a60 }}`,
    ],
    [
      'doubled namespaces',
      `{% set n0 = namespace(a=1) %}${Array.from({ length: 60 }, (_, i) => `{% set n${i + 1} = namespace(a=n${i}, b=n${i}) %}`).join('')}{{ n60 | tojson }}`,
    ],
    [
      'arrays of namespaces',
      `{% set ns = namespace(a=1) %}{% set a0 = [ns] %}${Array.from({ length: 22 }, (_, i) => `{% set a${i + 1} = [a${i}, a${i}] %}`).join('')}{% for i in range(1000) %}{{ a22 | length }}{% endfor %}`,
    ],
    ['a namespace in itself', '{% set ns = namespace(a=1) %}{% set ns.a = ns %}{{ ns | string }}'],
    ['endless recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    [
      'exponential recursion',
      '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}',
    ],
    [
      'macros in loops',
      `{% for i in range(100000) %}{% macro f() %}${'{{ a }}'.repeat(5000)}{% endmacro %}{% endfor %}`,
    ],
    ['sorting', `${grown}{% for i in range(10000) %}{% set x = [ns.s + 'b', ns.s + 'c', ns.s] | sort %}{% endfor %}`],
    ['a long template', 'x'.repeat(2 ** 18 + 1)],
    ['white space', ' '.repeat(200_000)],
  ])('are stopped: %s', (_, source) => {
    const before = performance.now()
    expect(codeOf(() => render(source))).toBe('HASS_ERR_TEMPLATE_LIMIT')
    expect(performance.now() - before).toBeLessThan(20_000)
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
