// Lengths of texts as Python and most clients count them; JavaScript counts UTF-16 units.

/** The number of code points. */
export function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
