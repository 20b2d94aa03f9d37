// RMSNorm in its three uses: before a layer part, on mixer outputs, and before the logits.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import { fold } from '../grid.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'

export interface NormOptions {
  step: StepTables
  /** [tokens, heads, dim] f32 */
  x: BufferRange
  /** [rows, heads, dim] f32 */
  y: BufferRange
  /** [dim] f32; undefined normalises without weights. */
  weight: BufferRange | undefined
  dim: number
  eps: number
  /** Rows of each token; 1 if undefined. */
  heads?: number
  /** Rows are all tokens, or those whose logits are wanted. */
  rows?: 'tokens' | 'logit_rows'
  /** Applies silu before the norm. */
  silu?: boolean
  /** Multiplies silu of these numbers onto the result: row t starts at t · stride + offset. */
  gate?: { range: BufferRange; stride: number; offset: number }
}

/** y = norm(act(x)) · weight · silu(gate): kernels/norm.wgsl. */
export function rmsNorm(tuning: Tuning, options: NormOptions): Plan {
  const { step, x, y, weight, dim, eps, gate } = options
  const heads = options.heads ?? 1
  const rows = options.rows ?? 'tokens'
  const subgroup = tuning.variant === 'subgroup'
  const workgroup = subgroup ? (dim >= 1024 ? 256 : 64) : 16
  return {
    kernel: kernels.norm,
    params: {
      VARIANT: tuning.variant,
      WORKGROUP: workgroup,
      DIM: dim,
      EPS: eps,
      HEADS: heads,
      ROWS: rows,
      ACTIVATION: options.silu ? 'silu' : 'none',
      WEIGHT: weight ? 'vector' : 'none',
      GATE: gate ? 'silu' : 'none',
      GATE_STRIDE: gate?.stride ?? 0,
      GATE_OFFSET: gate?.offset ?? 0,
    },
    bindings: {
      counts: step.counts,
      x,
      y,
      ...(weight && { weight }),
      ...(gate && { gate: gate.range }),
      ...(rows === 'logit_rows' && { logit_rows: step.logitRows }),
    },
    grid: (counts) => {
      const total = (rows === 'tokens' ? counts.tokens : counts.logitRows) * heads
      return fold(subgroup ? total : Math.ceil(total / workgroup))
    },
  }
}
