// RMSNorm in its three uses: before a layer part, on mixer outputs, and before the logits.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { Activations } from '../activations.ts'
import { alignUp, type BufferRange } from '../buffers.ts'
import { fold } from '../grid.ts'
import { QUANT_GROUP } from '../matrix.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { inBlocks } from './recurrent.ts'
import { type RowSet, rowCount } from './rows.ts'

export interface NormOptions {
  step: StepTables
  /** [tokens, heads, dim] f32 */
  x: BufferRange
  /** [rows, heads, dim]; heads of int8 rows fill whole groups, see `normFillsGroups`. */
  y: Activations
  /** [dim] f32; undefined normalises without weights. */
  weight: BufferRange | undefined
  dim: number
  eps: number
  /** Rows of each token; 1 if undefined. */
  heads?: number
  /** Tokens whose rows are made, all if undefined; logit rows are those whose logits are wanted. */
  rows?: RowSet
  /** Applies silu before the norm. */
  silu?: boolean
  /** Multiplies silu of these numbers onto the result: row t starts at t · stride + offset. */
  gate?: { range: BufferRange; stride: number; offset: number }
}

/** Whether no group of int8 numbers would lie in two heads, which a norm cannot write. */
export function normFillsGroups({ heads = 1, dim }: { heads?: number; dim: number }): boolean {
  return heads === 1 || dim % QUANT_GROUP === 0
}

/**
 * y = norm(act(x)) · weight · silu(gate): kernels/norm.wgsl. Steps of few rows are left out where y is a
 * deferred norm.
 */
export function rmsNorm(tuning: Tuning, options: NormOptions): Plan {
  const { step, x, y, weight, dim, eps, gate, heads = 1, rows = 'tokens' } = options
  const subgroup = tuning.variant === 'subgroup'
  const workgroup = subgroup ? rowWorkgroup(dim) : 16
  invariant(rows !== 'logit_rows' || heads === 1, `logit rows of ${heads} heads`)
  if (y.type === 'int8') {
    invariant(normFillsGroups(options), `int8 groups over heads of ${dim}`)
    invariant(y.stride === alignUp(heads * dim, QUANT_GROUP), `rows of ${y.stride} numbers`)
  }
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
      VECTOR: inBlocks(dim, gate?.stride ?? 0, gate?.offset ?? 0),
      OUTPUT: y.type,
    },
    bindings: {
      counts: step.counts,
      x,
      y: y.range,
      ...(y.type === 'int8' && { scales: y.scales }),
      ...(weight && { weight }),
      ...(gate && { gate: gate.range }),
      ...(rows === 'logit_rows' && { logit_rows: step.logitRows }),
    },
    grid: (counts) => {
      const count = rowCount(rows, counts)
      if (y.norm && count <= y.norm.most) return undefined
      const total = count * heads
      return total > 0 ? fold(subgroup ? total : Math.ceil(total / workgroup)) : undefined
    },
  }
}

/** Invocations for a row: up to 16 numbers each, which they keep in registers. */
function rowWorkgroup(dim: number): number {
  const wanted = Math.ceil(dim / 16)
  return [32, 64, 128].find((size) => wanted <= size) ?? 256
}
