// Numbers between two bounds, as expressions over decimal digits.

import { codePoints } from './code-points.ts'
import {
  choice,
  EMPTY,
  type Expression,
  NEVER,
  oneOf,
  repeat,
  sequence,
  text,
} from './expression.ts'

/** A bound of a range. */
export interface Bound {
  value: number
  /** The bound itself is outside. */
  exclusive: boolean
}

/**
 * Numbers of a range have at most 15 significant digits near its bounds: two such numbers are never
 * the same double, so none that is written below a bound is read as the bound.
 */
const MAX_DIGITS = 15
const MAX_MAGNITUDE = 10n ** BigInt(MAX_DIGITS) - 1n

/** Integers between two bounds; beyond 15 digits there are none. */
export function integerRange(low: Bound | undefined, high: Bound | undefined): Expression {
  const { first, last } = integersBetween(low, high)
  return choice(
    sequence(text('-'), naturals(max(1n, -last), -first)),
    naturals(max(0n, first), last),
  )
}

/** First and last integer between two bounds, within 15 digits. */
export function integersBetween(
  low: Bound | undefined,
  high: Bound | undefined,
): { first: bigint; last: bigint } {
  const lowest = low ? Math.ceil(low.value) : Number.NEGATIVE_INFINITY
  const highest = high ? Math.floor(high.value) : Number.POSITIVE_INFINITY
  const first = lowest === low?.value && low.exclusive ? whole(lowest) + 1n : whole(lowest)
  const last = highest === high?.value && high.exclusive ? whole(highest) - 1n : whole(highest)
  return { first: max(first, -MAX_MAGNITUDE), last: min(last, MAX_MAGNITUDE) }
}

/** Decimal numbers between two bounds, without exponents; beyond 15 digits there are none. */
export function decimalRange(low: Bound | undefined, high: Bound | undefined): Expression {
  // Numbers with 15 digits before the point are nowhere near a bound that has more.
  const near = [low, high].flatMap((bound) => (bound ? [Math.abs(bound.value)] : []))
  const widths = near
    .filter((value) => value <= Number(MAX_MAGNITUDE))
    .map((value) => decimal(value).whole.toString().length)
  const places = Math.max(0, MAX_DIGITS - Math.max(1, ...widths))
  const zero: Bound = { value: 0, exclusive: true }
  const mirrored = (bound: Bound) => ({ ...bound, value: -bound.value })
  const negative =
    low && low.value >= 0
      ? NEVER
      : magnitudes(high && high.value < 0 ? mirrored(high) : zero, low && mirrored(low), places)
  const from = low && low.value >= 0 ? low : undefined
  const positive = high && high.value < 0 ? NEVER : magnitudes(from, high, places)
  return choice(sequence(text('-'), negative), positive)
}

/** Decimals from zero on between two bounds that are not negative. */
function magnitudes(low: Bound | undefined, high: Bound | undefined, places: number): Expression {
  const bottom = low ? decimal(low.value) : { whole: 0n, digits: '' }
  const top = high && high.value <= Number(MAX_MAGNITUDE) ? decimal(high.value) : undefined
  const above = low && { digits: bottom.digits, exclusive: low.exclusive }
  const below = high && top && { digits: top.digits, exclusive: high.exclusive }
  if (top?.whole === bottom.whole) {
    return sequence(text(`${top.whole}`), fraction(above, below, places))
  }
  const last = top ? top.whole - 1n : MAX_MAGNITUDE
  return choice(
    sequence(naturals(bottom.whole, min(bottom.whole, last)), fraction(above, undefined, places)),
    sequence(naturals(bottom.whole + 1n, last), fraction(undefined, undefined, places)),
    top && top.whole > bottom.whole
      ? sequence(text(`${top.whole}`), fraction(undefined, below, places))
      : NEVER,
  )
}

/** A bound on what follows the decimal point. */
interface FractionBound {
  digits: string
  exclusive: boolean
}

function fraction(
  low: FractionBound | undefined,
  high: FractionBound | undefined,
  places: number,
): Expression {
  return choice(
    zeroFits(low, high) ? EMPTY : NEVER,
    sequence(text('.'), fractionDigits(low, high, places)),
  )
}

/** At least one and at most `places` digits. */
function fractionDigits(
  low: FractionBound | undefined,
  high: FractionBound | undefined,
  places: number,
): Expression {
  if (places === 0) return NEVER
  if (!low && !high) return repeat(digit(0, 9), 1, places)
  const bottom = low ? Number(low.digits[0] ?? 0) : -1
  const top = high ? Number(high.digits[0] ?? 0) : 10
  const rest = (above: FractionBound | undefined, below: FractionBound | undefined) => {
    const lower = tail(above)
    const upper = below && { ...below, digits: below.digits.slice(1) }
    return choice(zeroFits(lower, upper) ? EMPTY : NEVER, fractionDigits(lower, upper, places - 1))
  }
  if (bottom === top) return sequence(digit(top, top), rest(low, high))
  return choice(
    low && bottom < top ? sequence(digit(bottom, bottom), rest(low, undefined)) : NEVER,
    sequence(digit(bottom + 1, top - 1), repeat(digit(0, 9), 0, places - 1)),
    high && bottom < top ? sequence(digit(top, top), rest(undefined, high)) : NEVER,
  )
}

/** What is left of a lower bound after its first digit; undefined if it excludes nothing. */
function tail(bound: FractionBound | undefined): FractionBound | undefined {
  const digits = bound?.digits.slice(1)
  if (!bound || digits === undefined || (digits === '' && !bound.exclusive)) return undefined
  return { ...bound, digits }
}

function zeroFits(low: FractionBound | undefined, high: FractionBound | undefined): boolean {
  const isZero = (bound: FractionBound) => /^0*$/.test(bound.digits)
  return !(low && (!isZero(low) || low.exclusive)) && !(high && isZero(high) && high.exclusive)
}

/** Integers from `first` to `last`, both at least 0, without leading zeros. */
function naturals(first: bigint, last: bigint): Expression {
  if (first > last) return NEVER
  const options: Expression[] = []
  for (let low = first; low <= last; ) {
    const longest = 10n ** BigInt(low.toString().length) - 1n
    const high = min(longest, last)
    options.push(sameLength(low.toString(), high.toString()))
    low = high + 1n
  }
  return choice(...options)
}

function sameLength(low: string, high: string): Expression {
  if (low === '') return EMPTY
  const count = low.length - 1
  if (/^0*$/.test(low.slice(1)) && /^9*$/.test(high.slice(1))) {
    return sequence(digit(Number(low[0]), Number(high[0])), repeat(digit(0, 9), count, count))
  }
  const [bottom, top] = [Number(low[0]), Number(high[0])]
  if (bottom === top) return sequence(text(low[0]), sameLength(low.slice(1), high.slice(1)))
  return choice(
    sequence(text(low[0]), sameLength(low.slice(1), '9'.repeat(count))),
    sequence(digit(bottom + 1, top - 1), repeat(digit(0, 9), count, count)),
    sequence(text(high[0]), sameLength('0'.repeat(count), high.slice(1))),
  )
}

function digit(first: number, last: number): Expression {
  return first > last ? NEVER : oneOf(codePoints([[0x30 + first, 0x30 + last]]))
}

/** A number from zero on in plain decimal notation, as JavaScript would print it. */
function decimal(value: number): { whole: bigint; digits: string } {
  const [mantissa, exponent = '0'] = value.toString().split('e')
  const [before, after = ''] = mantissa.split('.')
  const shift = Number(exponent)
  const padded = shift < 0 ? before.padStart(before.length - shift, '0') + after : before + after
  const point = shift < 0 ? before.length : before.length + shift
  const all = padded.padEnd(point, '0')
  return { whole: BigInt(all.slice(0, point)), digits: all.slice(point) }
}

function whole(value: number): bigint {
  if (value === Number.POSITIVE_INFINITY) return MAX_MAGNITUDE
  return value === Number.NEGATIVE_INFINITY ? -MAX_MAGNITUDE : BigInt(value)
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
