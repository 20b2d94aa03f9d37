// Weights that a softmax model does not have, as flash-linear-attention initialises them: matrices
// and convolutions from a normal distribution, biases 0, norms 1. Every value is a function of seed,
// tensor name and position alone.

import { fnv1a } from '../fnv.ts'
import { type Dtype, ITEM_BYTES } from '../loader/convert.ts'
import { encode } from '../loader/encode.ts'
import { isNormWeight } from '../loader/noise.ts'
import { elementCount } from '../loader/tensor-source.ts'
import { seedKey, threefry2x32 } from '../threefry.ts'

/** Elements made at a time; even, because normal numbers come in pairs. */
const BLOCK = 1 << 18

/** How a new tensor begins. */
export type Beginning = 'normal' | 'zeros' | 'ones'

/** How FLA begins a tensor of this name. */
export function beginningOf(name: string): Beginning {
  if (isNormWeight(name)) return 'ones'
  return name.endsWith('.bias') ? 'zeros' : 'normal'
}

/** The bytes of a new tensor. @param std standard deviation of the normal distribution */
export function* newBlocks(
  { name, shape, dtype }: { name: string; shape: readonly number[]; dtype: Dtype },
  seed: number,
  std: number,
): Generator<Uint8Array> {
  const count = elementCount(shape)
  const beginning = beginningOf(name)
  const origin = { name, file: 'new weights', dtype }
  for (let first = 0; first < count; first += BLOCK) {
    const size = Math.min(BLOCK, count - first)
    if (beginning === 'zeros') yield new Uint8Array(size * ITEM_BYTES[dtype])
    else {
      const values =
        beginning === 'ones'
          ? new Float32Array(size).fill(1)
          : normals(seed, name, first, size, std)
      yield encode(values, dtype, origin, first)
    }
  }
}

/** Normal numbers of a tensor from position `first`, which is even: Box and Muller's transform. */
function normals(
  seed: number,
  name: string,
  first: number,
  count: number,
  std: number,
): Float32Array {
  const values = new Float32Array(count)
  const key = seedKey(seed)
  const tensor = fnv1a(name)
  for (let i = 0; i < count; i += 2) {
    const [a, b] = threefry2x32(key, [(first + i) / 2, tensor])
    const radius = std * Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32))
    const angle = (2 * Math.PI * b) / 2 ** 32
    values[i] = radius * Math.cos(angle)
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle)
  }
  return values
}
