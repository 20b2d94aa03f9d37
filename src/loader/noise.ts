// Tensors of random numbers in place of stored ones: speed depends on shapes, not on what was learned.
import { invariant } from '../errors.ts'
import { fnv1a } from '../fnv.ts'
import { elementCount, rowLength, type TensorSource } from './tensor-source.ts'

/** Whether a tensor of this name holds the weights of a norm, which are around one. */
export function isNormWeight(name: string): boolean {
  return /norm[^.]*\.weight$/.test(name)
}

/** Of vectors: norms, biases. */
const VECTOR_RANGE = 0.02

/** Evenly spread over (mean - range, mean + range), made from their positions: kernels/noise.wgsl. */
export interface Noise {
  seed: number
  mean: number
  range: number
}

/** A tensor that is made up. Matrices have the variance 1 / columns, so that products keep the size. */
export function noiseTensor(name: string, shape: readonly number[], file: string): TensorSource {
  const isVector = shape.length === 1
  const noise: Noise = {
    seed: fnv1a(name),
    // Around zero it would switch a model off.
    mean: isNormWeight(name) ? 1 : 0,
    range: isVector ? VECTOR_RANGE : Math.sqrt(3 / rowLength(shape)),
  }
  const row = rowLength(shape)
  return {
    name,
    shape,
    dtype: 'F32',
    file,
    noise,
    async readRows(first, count, into = new Uint8Array(count * row * 4)) {
      invariant(first >= 0 && first + count <= shape[0], `rows of ${name}`)
      invariant(elementCount(shape) <= 2 ** 32, `positions in ${name}`)
      const values = new Float32Array(into.buffer, into.byteOffset, count * row)
      for (let i = 0; i < values.length; i++) values[i] = noiseAt(noise, first * row + i)
      return into
    },
  }
}

/** What a kernel multiplies 24-bit integers with. */
export function noiseStep({ range }: Noise): number {
  return Math.fround(range / 2 ** 23)
}

function noiseAt(noise: Noise, position: number): number {
  const bits = mix(mix(position >>> 0) ^ noise.seed)
  return noise.mean + Math.fround((bits >> 8) * noiseStep(noise))
}

function mix(word: number): number {
  let x = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) | 0
}
