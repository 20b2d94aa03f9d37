// Sets of Unicode characters as sorted ranges. Surrogates are in no set, as UTF-8 cannot spell them;
// nor are U+2028 and U+2029, which would take `.` apart: they end lines in JavaScript alone.

/** First and last code point, both included. */
export type CodePointRange = readonly [first: number, last: number]

/** Ranges in ascending order with gaps between them. */
export type CodePoints = readonly CodePointRange[]

const LAST = 0x10ffff

/** Every character that texts may have. */
export const ALL: CodePoints = [
  [0, 0x2027],
  [0x202a, 0xd7ff],
  [0xe000, LAST],
]

export const ASCII: CodePoints = [[0, 0x7f]]

/** Every character from U+0080 on. */
export const NON_ASCII: CodePoints = difference(ALL, ASCII)

/** The set of some ranges in any order; what is in no set is left out. */
export function codePoints(ranges: readonly CodePointRange[]): CodePoints {
  return intersection(joined(ranges), ALL)
}

/** The set of the characters of a text. */
export function charactersOf(text: string): CodePoints {
  return codePoints(Array.from(text, (character) => single(character.codePointAt(0)!)))
}

export function union(...sets: readonly CodePoints[]): CodePoints {
  return joined(sets.flat())
}

export function intersection(left: CodePoints, right: CodePoints): CodePoints {
  const common: CodePointRange[] = []
  for (const [first, last] of left) {
    for (const [otherFirst, otherLast] of right) {
      const low = Math.max(first, otherFirst)
      const high = Math.min(last, otherLast)
      if (low <= high) common.push([low, high])
    }
  }
  return common
}

/** The characters of one set that are not in the other. */
export function difference(set: CodePoints, without: CodePoints): CodePoints {
  const gaps: CodePointRange[] = []
  let next = 0
  for (const [first, last] of without) {
    if (first > next) gaps.push([next, first - 1])
    next = last + 1
  }
  if (next <= LAST) gaps.push([next, LAST])
  return intersection(set, gaps)
}

/** How many characters a set has. */
export function countOf(set: CodePoints): number {
  return set.reduce((sum, [first, last]) => sum + last - first + 1, 0)
}

export function contains(set: CodePoints, codePoint: number): boolean {
  return set.some(([first, last]) => codePoint >= first && codePoint <= last)
}

function single(codePoint: number): CodePointRange {
  return [codePoint, codePoint]
}

function joined(ranges: readonly CodePointRange[]): CodePoints {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0])
  const out: [number, number][] = []
  for (const [first, last] of sorted) {
    const previous = out.at(-1)
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else out.push([first, last])
  }
  return out
}
