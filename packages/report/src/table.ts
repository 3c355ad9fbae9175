import { checkOptionKeys } from '@hass-engine/core'
import { type Content, type Html, html } from './html.js'

export interface TableOptions {
  readonly title?: string
  readonly columns: readonly string[]
  /** One cell a column; numbers stand right. */
  readonly rows: readonly (readonly Content[])[]
}

/** More than these take the page's whole width. */
const manyColumns = 5

/** @throws InvalidArgumentError for unknown options */
export function table(options: TableOptions): Html {
  checkOptionKeys(options, ['title', 'columns', 'rows'], 'table')
  const { title, columns, rows } = options
  const isNumeric = columns.map((_, column) => rows.length > 0 && rows.every((row) => looksNumeric(row[column])))
  const classOf = (column: number) => (isNumeric[column] ? 'number' : 'text')
  return html`<div class="${columns.length > manyColumns ? 'table wide' : 'table'}">${title === undefined ? undefined : html`<h3>${title}</h3>`}<table>
<thead><tr>${columns.map((name, column) => html`<th class="${classOf(column)}">${name}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map((cell, column) => html`<td class="${classOf(column)}">${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`
}

/** Numbers, and text that begins with one: `1.52×`, `−3 %`, `3.1 – 3.4`. An empty cell leaves its column as it is. */
function looksNumeric(cell: Content): boolean {
  return cell === undefined || typeof cell === 'number' || (typeof cell === 'string' && /^([+−-]?\d|–|$)/.test(cell))
}
