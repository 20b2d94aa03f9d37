// Spells sets of characters as sequences of byte ranges.

import type { CodePoints } from './code-points.ts'

/** First and last value of one byte. */
export type ByteRange = readonly [first: number, last: number]

/** Largest code point by length of its spelling. */
const LIMITS = [0x7f, 0x7ff, 0xffff, 0x10ffff]

/** What the first byte of a spelling adds to its bits. */
const LEAD_MARKS = [0, 0xc0, 0xe0, 0xf0]

/** Sequences of byte ranges that together match the UTF-8 of the set's characters and nothing else. */
export function utf8Sequences(set: CodePoints): ByteRange[][] {
  const sequences: ByteRange[][] = []
  for (const [first, last] of set) {
    let from = first
    for (let tail = 0; tail < LIMITS.length && from <= last; tail++) {
      const to = Math.min(last, LIMITS[tail])
      if (from > to) continue
      sequences.push(...split(from, to, tail, LEAD_MARKS[tail]))
      from = to + 1
    }
  }
  return sequences
}

/** Sequences for a range of numbers written as a byte that has `mark` and `tail` bytes of six bits. */
function split(from: number, to: number, tail: number, mark: number): ByteRange[][] {
  if (tail === 0) return [[[mark + from, mark + to]]]
  const unit = 1 << (6 * tail)
  const low = Math.floor(from / unit)
  const high = Math.floor(to / unit)
  const rest = (start: number, end: number) => split(start, end, tail - 1, 0x80)
  const under = (lead: number, start: number, end: number): ByteRange[][] =>
    rest(start, end).map((sequence) => [[mark + lead, mark + lead], ...sequence])
  if (low === high) return under(low, from - low * unit, to - low * unit)
  const before = from > low * unit ? under(low, from - low * unit, unit - 1) : []
  const after = to < high * unit + unit - 1 ? under(high, 0, to - high * unit) : []
  const first = before.length > 0 ? low + 1 : low
  const last = after.length > 0 ? high - 1 : high
  const middle: ByteRange[][] =
    first > last
      ? []
      : rest(0, unit - 1).map((sequence) => [[mark + first, mark + last], ...sequence])
  return [...before, ...middle, ...after]
}
