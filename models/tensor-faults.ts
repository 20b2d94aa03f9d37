// What can be wrong with the tensors of a checkpoint, in the words that loading and converting share.

import { CheckpointError } from '../src/errors.ts'

/** What an error has to say of a tensor that is there. */
interface Found {
  name: string
  file: string
  shape: readonly number[]
}

/** Buffers that other tools save; the angles are computed. */
export function isAngles(name: string): boolean {
  return /\brotary(_emb)?\.inv_freq$/.test(name)
}

/**
 * @param file says which there are
 * @param names all that it could be called, the usual one first
 * @param why what may be the reason, behind a semicolon
 */
export function missingTensor(
  file: string,
  [first, ...others]: readonly string[],
  shape: readonly number[],
  why = '',
): CheckpointError {
  const also = others.length === 0 ? '' : ` (nor ${others.join(', ')})`
  const expected = `expected with shape ${showShape(shape)}`
  return new CheckpointError(file, `has no tensor ${first}${also}; ${expected}${why}`)
}

/** Throws CheckpointError for a tensor of another shape. */
export function checkShape(tensor: Found, shape: readonly number[]): void {
  if (showShape(tensor.shape) === showShape(shape)) return
  const found = `found shape ${showShape(tensor.shape)}`
  const allowed = `${showShape(shape)} (from config.json)`
  throw new CheckpointError(tensor.file, `tensor ${tensor.name}: ${found}; allowed: ${allowed}`)
}

/**
 * Throws CheckpointError, naming the first, if tensors are left.
 * @param verdict what is the matter with them
 * @param why more of it, for tensors of layers that there are
 */
export function refuseLeftOver(
  left: Iterable<Found>,
  layerCount: number,
  verdict: string,
  why: (name: string) => string = () => '',
): void {
  const [first, ...others] = left
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  const isBeyond = Number(/\blayers\.(\d+)\./.exec(first.name)?.[1]) >= layerCount
  const reason = isBeyond ? `; config.json says num_hidden_layers ${layerCount}` : why(first.name)
  throw new CheckpointError(first.file, `tensor ${first.name}${more} ${verdict}${reason}`)
}

function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`
}
