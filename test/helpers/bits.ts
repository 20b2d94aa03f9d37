// Comparison to the last bit: numbers that are equal may differ as bits (0 and -0), or not be equal
// to themselves.

/** The float32 bits of these numbers. */
export function bitsOf(values: ArrayLike<number>): Uint32Array {
  return new Uint32Array(Float32Array.from(values).buffer)
}
