// @ts-check
// Numbers as people read them.

const STEPS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/**
 * Three digits and a unit, as `192 KiB` or `3.62 MiB`.
 * @param {number} count
 */
export function bytes(count) {
  let value = count
  let step = 0
  // What would be rounded to 1024 is one of the next unit.
  while (value >= 1023.5 && step < STEPS.length - 1) {
    value /= 1024
    step++
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${Number(value.toFixed(digits))} ${STEPS[step]}`
}

/**
 * @param {number} value
 */
export function count(value) {
  return value.toLocaleString('en')
}

/**
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  return milliseconds < 999.5
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(milliseconds < 99_950 ? 1 : 0)} s`
}

/**
 * Tokens in a second.
 * @param {number} value
 */
export function rate(value) {
  return `${value.toFixed(value < 99.95 ? 1 : 0)} tokens/s`
}
