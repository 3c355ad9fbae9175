/** Colours of the series told apart by hue and lightness, so that they stay apart for the colour-blind. */
export const numSeriesColors = 6

export const styles = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1d2026; --quiet: #667080; --line: #e3e5e8;
  --series-1: #2463c4; --series-2: #d1591b; --series-3: #12866b; --series-4: #9a3fb5; --series-5: #a67c00; --series-6: #c2275c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1c1f25; --ink: #e7e9ec; --quiet: #98a1b0; --line: #31353d;
    --series-1: #6ea4f4; --series-2: #f08c55; --series-3: #4cc3a3; --series-4: #cf86e4; --series-5: #dcb43c; --series-6: #f2749d;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0; font-size: 1.75rem; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; }
h2 { margin: 2.5rem 0 0.25rem; font-size: 1.15rem; font-weight: 650; }
h3 { margin: 0 0 0.35rem; font-size: 0.95rem; font-weight: 600; }
.subtitle, .note { margin: 0.35rem 0 0; color: var(--quiet); max-width: 60rem; overflow-wrap: anywhere; }
.highlights { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 0.75rem; margin: 1.5rem 0 0; }
.highlights div, figure, .table { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; }
.highlights div { padding: 0.7rem 1rem; }
.highlights dt { color: var(--quiet); font-size: 0.85rem; }
.highlights dd { margin: 0; font-size: 1.5rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.3; }
.highlights small { display: block; color: var(--quiet); font-size: 0.78rem; font-weight: 400; }
.body { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; margin-top: 0.9rem; }
figure { margin: 0; padding: 0.9rem 1rem 0.7rem; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin: 0 0 0.3rem; padding: 0; list-style: none; color: var(--quiet); font-size: 0.82rem; }
.legend span { display: inline-block; width: 0.9rem; height: 0.2rem; margin-right: 0.4rem; border-radius: 1px; vertical-align: middle; }
.table { overflow-x: auto; padding: 0.6rem 1rem; min-width: 0; }
@media (min-width: 64rem) { .wide { grid-column: 1 / -1; } }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--quiet); font-weight: 500; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.empty { color: var(--quiet); padding: 2rem 0; text-align: center; }
@media print { body { padding: 0; } figure, .table { break-inside: avoid; } }
`
