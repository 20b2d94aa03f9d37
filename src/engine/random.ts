// Random numbers without state: a function of seed and step, so that a sequence draws the same
// numbers whatever else runs beside it, and a GPU can compute them alone.

import { seedKey, threefry2x32 } from '../threefry.ts'

/**
 * 32 random bits, as an unsigned integer.
 * `seed`: an integer; only its low 64 bits count. `step`: 0 to 2^32 - 1, for example the number of
 * tokens generated so far.
 */
export function randomBits(seed: bigint | number, step: number): number {
  return threefry2x32(seedKey(seed), [step, 0])[0]
}

/** A seed from the system, for requests that name none. */
export function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]
}
