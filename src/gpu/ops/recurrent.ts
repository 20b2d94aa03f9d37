// Gated linear attention one token at a time: the decode rows of a step.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'

/**
 * h ← decay(h) + k vᵀ, o = scale · q h, with one state h per kv head; query head i reads kv head
 * floor(i / (heads / kvHeads)). Serves GLA (gate axis "key") and both passes of GSA ("value" with
 * v := s, then "key" with q := p, k := s). o, state and scratch are written and must lie in other
 * buffers than the inputs. All numbers are f32.
 */
export interface GatedAttention {
  step: StepTables
  /** [tokens, heads, keyDim] */
  q: BufferRange
  /** [tokens, kvHeads, keyDim] */
  k: BufferRange
  /** [tokens, kvHeads, valueDim] */
  v: BufferRange
  /** [tokens, kvHeads, keyDim or valueDim]: natural logarithms of the gates, none above 0. */
  gate: BufferRange
  /** [tokens, heads, valueDim] */
  o: BufferRange
  /** Slot s starts at float s · slotStride of this range: [kvHeads, keyDim, valueDim]. */
  state: BufferRange
  /** Floats from one slot to the next. */
  slotStride: number
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  scale: number
  /** Whether the gate decays the rows (key) or the columns (value) of the state. */
  gateAxis: 'key' | 'value'
}

/** Column blocks and key slices of a workgroup where barriers are cheap: 32 columns × 16 slices. */
const BLOCKS = 8
const SLICES = 16

/**
 * Moves the slots of decode segments on by one token and writes their outputs: rows
 * 0 … decodes-1 of o. kernels/recurrent.wgsl.
 */
export function recurrent(tuning: Tuning, options: GatedAttention): Plan[] {
  const { step, heads, kvHeads, keyDim, valueDim, slotStride } = options
  const columns = Math.ceil(valueDim / 4)
  const subgroup = tuning.variant === 'subgroup'
  const blocks = Math.min(columns, subgroup ? BLOCKS : 16)
  const groups = Math.ceil(columns / blocks)
  return [
    {
      kernel: kernels.recurrent,
      params: {
        HEADS: heads,
        KV_HEADS: kvHeads,
        K: keyDim,
        V: valueDim,
        SCALE: options.scale,
        GATE_AXIS: options.gateAxis,
        SLOT_STRIDE: slotStride,
        VECTOR: inBlocks(valueDim, slotStride),
        BLOCKS: blocks,
        SLICES: subgroup ? SLICES : 1,
      },
      bindings: {
        segments: step.segments,
        q: options.q,
        k: options.k,
        v: options.v,
        gate: options.gate,
        state: options.state,
        o: options.o,
      },
      grid: ({ decodes }) => (decodes > 0 ? [groups, kvHeads, decodes] : undefined),
    },
  ]
}

/** Value of a kernel's VECTOR parameter: whether rows of these lengths divide into vec4. */
export function inBlocks(...lengths: number[]): 'yes' | 'no' {
  return lengths.every((length) => length % 4 === 0) ? 'yes' : 'no'
}
