import { checkOptionKeys } from '@hass-engine/core'
import { type Content, Html, html } from './html.js'
import { styles } from './styles.js'

export interface ReportPage {
  readonly title: string
  /** One line below the title: when, where, on what. */
  readonly subtitle?: Content
  /** The few figures that matter most, shown large. */
  readonly highlights?: readonly { readonly label: string; readonly value: string; readonly note?: string }[]
  readonly sections: readonly ReportSection[]
}

export interface ReportSection {
  readonly heading: string
  /** A sentence or two on what is shown and how it was measured. */
  readonly note?: Content
  /** Charts and tables; charts stand side by side where there is room. */
  readonly body: readonly Html[]
}

/**
 * A whole HTML document that loads nothing: styles and charts are inside. Light or dark as the reader's system is.
 *
 * @throws InvalidArgumentError for unknown options
 */
export function renderPage(page: ReportPage): string {
  checkOptionKeys(page, ['title', 'subtitle', 'highlights', 'sections'], 'renderPage')
  const { title, subtitle, highlights = [], sections } = page
  const body = html`<header>
<h1>${title}</h1>
${subtitle === undefined ? undefined : html`<p class="subtitle">${subtitle}</p>`}
</header>
${
  highlights.length === 0
    ? undefined
    : html`<dl class="highlights">${highlights.map(
        ({ label, value, note }) =>
          html`<div><dt>${label}</dt><dd>${value}${note === undefined ? undefined : html`<small>${note}</small>`}</dd></div>`,
      )}</dl>`
}
${sections.map(
  ({ heading, note, body }) => html`<section>
<h2>${heading}</h2>
${note === undefined ? undefined : html`<p class="note">${note}</p>`}
<div class="body">${body}</div>
</section>
`,
)}`
  return html`${new Html('<!doctype html>')}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(styles)}</style>
</head>
<body>
${body}
</body>
</html>
`.markup
}
