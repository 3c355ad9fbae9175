import { describe, expect, it } from 'vitest'
import { escapeText, Html, html } from './html.js'

describe('html', () => {
  it('escapes text and keeps markup', () => {
    const name = `<script>alert("1' & 2")</script>`
    expect(html`<p title="${name}">${html`<b>${1}</b>`}${new Html('<i>')}</p>`.markup).toBe(
      '<p title="&lt;script&gt;alert(&quot;1&#39; &amp; 2&quot;)&lt;/script&gt;"><b>1</b><i></p>',
    )
  })

  it('joins lists and leaves out what is undefined', () => {
    expect(html`${['<', html`<br>`, [2]]}${undefined}`.markup).toBe('&lt;<br>2')
  })

  it('does not take an object of the same shape for markup', () => {
    const forged = JSON.parse('{"markup":"<script>"}') as never
    expect(html`${forged}`.markup).not.toContain('<script>')
  })

  it('escapes every character that could end a text or an attribute', () => {
    expect(escapeText(`&<>"'a`)).toBe('&amp;&lt;&gt;&quot;&#39;a')
  })
})
