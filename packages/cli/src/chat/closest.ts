/** The one of `words` that differs from `word` in two letters at most, and in the fewest. */
export function closestOf(word: string, words: readonly string[]): string | undefined {
  const ranked = words.map((other) => ({ other, edits: editDistance(word, other) })).sort((a, b) => a.edits - b.edits)
  return ranked[0] && ranked[0].edits <= 2 ? ranked[0].other : undefined
}

/** Letters to insert, delete or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
