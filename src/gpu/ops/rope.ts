// Rotary position embedding of softmax layers.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { ELEMENTWISE, perToken } from './elementwise.ts'

export interface RotaryOptions {
  step: StepTables
  /** [tokens, stride] f32: q | k | v | anything. */
  p: BufferRange
  stride: number
  /** Output [tokens, heads, headDim] f32. */
  q: BufferRange
  /** Output [tokens, kvHeads, headDim] f32. */
  k: BufferRange
  /** Output [tokens, kvHeads, headDim] f32: a copy. */
  v: BufferRange
  heads: number
  kvHeads: number
  /** Even. */
  headDim: number
  /** From rotaryTable; as many positions as any sequence reaches. */
  table: BufferRange
}

/** Splits the projection of a softmax layer into q, k and v and turns q and k by their positions. */
export function rotary(_tuning: Tuning, options: RotaryOptions): Plan {
  const { step, p, stride, q, k, v, heads, kvHeads, headDim, table } = options
  invariant(headDim % 2 === 0, `rotary needs an even head size, not ${headDim}`)
  return {
    kernel: kernels.rope,
    params: {
      WORKGROUP: ELEMENTWISE,
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      STRIDE: stride,
    },
    bindings: {
      counts: step.counts,
      segments: step.segments,
      segment_of: step.segmentOf,
      table,
      p,
      q,
      k,
      v,
    },
    grid: perToken(((heads + 2 * kvHeads) * headDim) / 2),
  }
}

/**
 * cos and sin of position · theta^(−2i / headDim), [positions, headDim / 2, 2]. Made here because
 * WGSL promises sin and cos to 2^-11 only, and that below π.
 */
export function rotaryTable(positions: number, headDim: number, theta: number): Float32Array {
  const pairs = headDim / 2
  const table = new Float32Array(positions * headDim)
  for (let i = 0; i < pairs; i++) {
    const frequency = theta ** ((-2 * i) / headDim)
    for (let position = 0; position < positions; position++) {
      const at = (position * pairs + i) * 2
      table[at] = Math.cos(position * frequency)
      table[at + 1] = Math.sin(position * frequency)
    }
  }
  return table
}
