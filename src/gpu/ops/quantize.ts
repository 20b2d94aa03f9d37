// Rows of float32 as int8 activations, where no kernel before them writes these itself.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { Activations } from '../activations.ts'
import { alignUp, type BufferRange } from '../buffers.ts'
import { QUANT_GROUP } from '../matrix.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { ELEMENTWISE, perToken } from './elementwise.ts'
import { inBlocks } from './recurrent.ts'
import type { RowSet } from './rows.ts'

export interface QuantizeOptions {
  step: StepTables
  /** [rows, dim] f32 */
  x: BufferRange
  /** Of the type int8; rows as long as dim, rounded up to whole groups. */
  y: Activations
  dim: number
  /** Rows that are made; tokens if undefined. */
  rows?: RowSet
}

/**
 * y = x in groups of 32 numbers: scale = largest size / 127, each number the nearest multiple of it.
 * kernels/quantize.wgsl.
 */
export function quantize(_tuning: Tuning, options: QuantizeOptions): Plan {
  const { step, x, y, dim, rows = 'tokens' } = options
  const stride = alignUp(dim, QUANT_GROUP)
  invariant(y.type === 'int8' && y.stride === stride, `rows of ${dim} quantized to another length`)
  return {
    kernel: kernels.quantize,
    params: { WORKGROUP: ELEMENTWISE, DIM: dim, ROWS: rows, VECTOR: inBlocks(dim) },
    bindings: { counts: step.counts, x, y: y.range, scales: y.scales },
    grid: perToken(stride / QUANT_GROUP, rows),
  }
}
