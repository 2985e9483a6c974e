/** The one of `names` that `name` is most likely a misspelling of, if any is close enough to suggest. */
export const nearest = (name: string, names: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of names) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase())
    if (edits < least) {
      best = candidate
      least = edits
    }
  }
  return best
}

/** Levenshtein: the fewest letters to insert, delete or replace. */
const distance = (from: string, to: string): number => {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (const [row, letter] of [...from].entries()) {
    let left = row + 1
    above = above.map((straight, column) => {
      if (column === 0) return left
      const diagonal = (above[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1)
      left = Math.min(diagonal, straight + 1, left + 1)
      return left
    })
  }
  return above[to.length] ?? 0
}
