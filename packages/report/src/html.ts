/** Markup that is safe to place into a page as it stands; what is a plain string gets escaped there. */
export class Html {
  readonly markup: string

  /** @param markup trusted: where text of users or models goes in, build it with `html` instead */
  constructor(markup: string) {
    this.markup = markup
  }

  toString(): string {
    return this.markup
  }
}

/** What a page may hold: markup as it is, text and numbers escaped, lists one after another, nothing for `undefined`. */
export type Content = Html | string | number | undefined | readonly Content[]

/**
 * A template tag that escapes every value that is not `Html`.
 *
 * @example html`<p>${'a < b'}</p>` // <p>a &lt; b</p>
 */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((text, index) => (index === 0 ? text : markupOf(values[index - 1]) + text)).join(''))
}

/** Text as HTML shows it, in elements and in quoted attributes. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!)
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function markupOf(content: Content): string {
  if (content === undefined) return ''
  if (content instanceof Html) return content.markup
  if (Array.isArray(content)) return content.map(markupOf).join('')
  return escapeText(String(content))
}
