// Random numbers without state: the counter-based generator behind sampling and new weights.

/** Rotations of the eight rounds that Threefry-2x32 repeats. */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]
const ROUNDS = 20
/** Third key word is the exclusive or of the key and this ("parity" in the paper). */
const PARITY = 0x1bd11bda

/**
 * Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011 (DOI 10.1145/2063384.2063405). Only 32-bit add, rotate and exclusive or.
 * All words are unsigned 32-bit integers.
 */
export function threefry2x32(
  key: readonly [number, number],
  counter: readonly [number, number],
): [number, number] {
  const keys = [key[0], key[1], PARITY ^ key[0] ^ key[1]]
  let x0 = (counter[0] + keys[0]) | 0
  let x1 = (counter[1] + keys[1]) | 0
  for (let round = 0; round < ROUNDS; round++) {
    const rotation = ROTATIONS[round % 8]
    x0 = (x0 + x1) | 0
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0
    if (round % 4 !== 3) continue
    const injection = (round + 1) / 4
    x0 = (x0 + keys[injection % 3]) | 0
    x1 = (x1 + keys[(injection + 1) % 3] + injection) | 0
  }
  return [x0 >>> 0, x1 >>> 0]
}

/** The Threefry key of a seed: low and high word of its 64-bit two's complement. */
export function seedKey(seed: bigint | number): [number, number] {
  const bits = BigInt.asUintN(64, BigInt(seed))
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)]
}
