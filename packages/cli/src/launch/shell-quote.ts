/** One word of a POSIX shell: quoted where it has to be. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/**
 * A command line to be copied into a shell, a flag and its value on each line.
 *
 * @param environment variables that are set for it
 */
export function formatCommand(words: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  const lines: string[] = []
  for (const word of words) {
    if (lines.length === 0 || /^--./.test(word)) lines.push(quoteWord(word))
    else lines[lines.length - 1] += ` ${quoteWord(word)}`
  }
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${quoteWord(value)} `)
  return variables.join('') + lines.join(' \\\n  ')
}
