// Softmax attention with a cache in the slot, for the softmax layers of hybrids.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import { fold } from '../grid.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { ELEMENTWISE, perToken } from './elementwise.ts'

export interface AttentionOptions {
  step: StepTables
  /** [tokens, heads, headDim] f32 */
  q: BufferRange
  /** [tokens, kvHeads, headDim] f32 */
  k: BufferRange
  /** [tokens, kvHeads, headDim] f32 */
  v: BufferRange
  /** Output [tokens, heads, headDim] f32. */
  o: BufferRange
  /**
   * Slot s starts at float s · slotStride: keys [capacity, kvHeads, headDim], then values alike. The
   * token at sequence position t is in row t % capacity.
   */
  cache: BufferRange
  slotStride: number
  /** Rows of the cache: at least the window, or the longest sequence where there is no window. */
  capacity: number
  /** Tokens that a token sees, itself included; undefined for all. */
  window: number | undefined
  heads: number
  kvHeads: number
  headDim: number
}

/** Invocations, and keys of a block, in the subgroup variant. */
const BLOCK = 128

/** Attention of every token of the step, then the write of its keys and values to the cache. */
export function attention(tuning: Tuning, options: AttentionOptions): Plan[] {
  return [attend(tuning, options), append(options)]
}

function attend(tuning: Tuning, options: AttentionOptions): Plan {
  const { step, q, k, v, o, cache, slotStride, capacity, window, heads, kvHeads, headDim } = options
  invariant(heads % kvHeads === 0, `${heads} heads over ${kvHeads} kv heads`)
  invariant(window === undefined || (window > 0 && window <= capacity), 'window over its cache')
  const vector = [4, 2, 1].find((size) => headDim % size === 0 && slotStride % size === 0)!
  const columns = headDim / vector
  // The subgroup text has one invocation for each load of a head's columns.
  const subgroup = tuning.variant === 'subgroup' && columns <= BLOCK
  const group = subgroup ? headsTogether(heads / kvHeads, headDim) : 1
  const workgroup = subgroup ? BLOCK : 4
  return {
    kernel: kernels.attention,
    params: {
      VARIANT: subgroup ? 'subgroup' : 'plain',
      WORKGROUP: workgroup,
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      VECTOR: vector,
      GROUP: group,
      WINDOW: window ?? 0,
      CAPACITY: capacity,
      SLOT_STRIDE: slotStride,
    },
    bindings: {
      counts: step.counts,
      segments: step.segments,
      segment_of: step.segmentOf,
      q,
      k,
      v,
      cache,
      o,
    },
    grid: ({ tokens }) => fold(Math.ceil((tokens * (heads / group)) / (subgroup ? 1 : workgroup))),
  }
}

function append({ step, k, v, cache, slotStride, capacity, kvHeads, headDim }: AttentionOptions) {
  const row = kvHeads * headDim
  const plan: Plan = {
    kernel: kernels.kvAppend,
    params: { WORKGROUP: ELEMENTWISE, ROW: row, CAPACITY: capacity, SLOT_STRIDE: slotStride },
    bindings: {
      counts: step.counts,
      segments: step.segments,
      segment_of: step.segmentOf,
      k,
      v,
      cache,
    },
    grid: perToken(row),
  }
  return plan
}

/** Query heads of one kv head that share a workgroup: as many as leave room for the sums in 16 KiB. */
function headsTogether(perKvHead: number, headDim: number): number {
  for (let count = Math.min(perKvHead, 8); count > 1; count--) {
    if (perKvHead % count === 0 && count * (headDim + BLOCK) * 4 <= 10240) return count
  }
  return 1
}
