const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** Local time in the directives of C's strftime that chat templates use; names in English, others stay as they are. */
export function strftime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const directives: Readonly<Record<string, () => string>> = {
    '%Y': () => String(date.getFullYear()),
    '%y': () => two(date.getFullYear() % 100),
    '%m': () => two(date.getMonth() + 1),
    '%d': () => two(date.getDate()),
    '%H': () => two(date.getHours()),
    '%M': () => two(date.getMinutes()),
    '%S': () => two(date.getSeconds()),
    '%B': () => months[date.getMonth()]!,
    '%b': () => months[date.getMonth()]!.slice(0, 3),
    '%A': () => days[date.getDay()]!,
    '%a': () => days[date.getDay()]!.slice(0, 3),
    '%%': () => '%',
  }
  return format.replace(/%[A-Za-z%]/g, (directive) => directives[directive]?.() ?? directive)
}
