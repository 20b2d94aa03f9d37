// Random problems for the gated linear attention kernels, and one call that runs them.
import { chunked, chunkScratchSizes } from '../../src/gpu/ops/chunk.ts'
import { recurrent } from '../../src/gpu/ops/recurrent.ts'
import type { Segment } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { type GatedInputs, type GatedShape, gatedRecurrent } from '../oracle/recurrent.ts'
import type { openTestGpu } from './gpu.ts'
import type { Random } from './numbers.ts'

export type TestGpu = Awaited<ReturnType<typeof openTestGpu>>

/** Log gates as trained models have them, and as they break kernels. */
export const gateKinds = {
  mild: (random: Random) => -Math.log1p(Math.exp(-random.normal())) / 16,
  strong: (random: Random) => -20 * random.uniform(),
  'constant -20': () => -20,
  zero: () => 0,
  spiky: (random: Random) => (random.uniform() < 0.15 ? -20 : -0.001 * random.uniform()),
  cliffs: (random: Random) => (random.uniform() < 0.05 ? -3000 : -0.01 * random.uniform()),
}
export type GateKind = keyof typeof gateKinds

export type FloatInputs = Record<keyof GatedInputs, Float32Array>

/** Packed inputs for `tokens` rows. */
export function gatedInputs(
  random: Random,
  shape: GatedShape,
  tokens: number,
  kind: GateKind = 'mild',
): FloatInputs {
  const { heads, kvHeads, keyDim, valueDim, gateAxis } = shape
  const gateDim = gateAxis === 'key' ? keyDim : valueDim
  return {
    q: random.normals(tokens * heads * keyDim),
    k: random.normals(tokens * kvHeads * keyDim),
    v: random.normals(tokens * kvHeads * valueDim),
    gate: Float32Array.from({ length: tokens * kvHeads * gateDim }, () => gateKinds[kind](random)),
  }
}

export const stateSize = ({ kvHeads, keyDim, valueDim }: GatedShape): number =>
  kvHeads * keyDim * valueDim

/**
 * Rows from … to-1 of packed inputs.
 * @param tokens rows that the inputs hold
 */
export function rowsOf(inputs: FloatInputs, tokens: number, from: number, to: number): FloatInputs {
  const cut = (data: Float32Array) =>
    data.slice((data.length / tokens) * from, (data.length / tokens) * to)
  return { q: cut(inputs.q), k: cut(inputs.k), v: cut(inputs.v), gate: cut(inputs.gate) }
}

export interface Attended {
  /** [tokens, heads, valueDim] */
  o: Float32Array<ArrayBuffer>
  /** [slots, stride] */
  pool: Float32Array<ArrayBuffer>
}

/**
 * Runs one step, decode rows and prompts, over a pool of states.
 * @param pool [slots, stride], the state of each slot at the start of its row
 */
export async function attend(
  gpu: TestGpu,
  variant: Variant,
  shape: GatedShape,
  segments: Segment[],
  inputs: GatedInputs,
  pool: Float32Array,
  stride: number,
): Promise<Attended> {
  const step = await gpu.step(segments)
  const { tokens } = step.counts
  const limits = { tokens, segments: segments.length, logitRows: 0 }
  const sizes = chunkScratchSizes(limits, shape)
  const state = await gpu.input(pool)
  const o = await gpu.output(tokens * shape.heads * shape.valueDim)
  const options = {
    ...shape,
    step: step.tables,
    q: await gpu.input(inputs.q),
    k: await gpu.input(inputs.k),
    v: await gpu.input(inputs.v),
    gate: await gpu.input(inputs.gate),
    o,
    state,
    slotStride: stride,
    scratch: {
      gates: await gpu.output(sizes.gates),
      gains: await gpu.output(sizes.gains),
      scores: await gpu.output(sizes.scores),
    },
  }
  const tuning = gpu.tuning(variant)
  // Plans that this step leaves out are not worth compiling.
  const plans = [...recurrent(tuning, options), ...chunked(tuning, options)].filter(
    ({ grid }) => grid(step.counts) !== undefined,
  )
  await gpu.run(plans, step.counts)
  const result = {
    o: new Float32Array(await gpu.read(o)),
    pool: new Float32Array(await gpu.read(state)),
  }
  for (const { buffer } of [
    ...[options.q, options.k, options.v, options.gate, o, state],
    ...Object.values(options.scratch),
  ]) {
    gpu.buffers.destroy(buffer)
  }
  return result
}

/** What attend must give, by the oracle; slots without a segment keep their numbers. */
export function expectAttended(
  shape: GatedShape,
  segments: Segment[],
  inputs: GatedInputs,
  pool: ArrayLike<number>,
  stride: number,
): { o: Float64Array; pool: Float64Array } {
  const after = Float64Array.from(pool)
  const outputs: Float64Array[] = []
  let first = 0
  for (const { slot, tokens } of segments) {
    const state = after.subarray(slot * stride, slot * stride + stateSize(shape))
    outputs.push(gatedRecurrent(shape, inputs, state, first, first + tokens.length))
    first += tokens.length
  }
  const o = new Float64Array(outputs.reduce((sum, each) => sum + each.length, 0))
  let at = 0
  for (const each of outputs) {
    o.set(each, at)
    at += each.length
  }
  return { o, pool: after }
}
