// Products for few rows: one kernel for each number of rows, and what it does with its results.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import { isQuantized, type Matrix, QUANT_GROUP, rowBytes } from '../matrix.ts'
import { type FewRows, type Lanes, productType } from '../products.ts'
import type { Tuning } from '../tuning.ts'
import type { ParamValues } from '../wgsl.ts'
import type { MatmulOptions, Shape } from './matmul.ts'

/** Numbers of rows for which there are texts. */
export const ROW_TILES = [1, 2, 4, 8]
/** Rows up to which workgroups are shaped for one row. */
const ONE_ROW = 2
/** Weight rows behind a group of gated values. */
const GATED_GROUP = 2 * QUANT_GROUP
/** Memory for sums that every adapter has for a workgroup. */
const PARTIAL_BYTES = 16 * 1024

/**
 * Kernels for 1, 2, 4 and 8 rows. One or two rows of `options.next` are made on the way, and of a deferred norm
 * divided; one or two and, where the sums fit, more rows of gated integers packed.
 * @param most rows of the largest step that the last one serves
 */
export function fewRowShapes(tuning: Tuning, options: MatmulOptions, most: number): Shape[] {
  const isInteger = isQuantized(options.weights.type)
  const shapes = tuning.products.few[productType(options.weights.type)]
  return ROW_TILES.map((rows) => {
    const largest = rows === ROW_TILES.at(-1) ? most : rows
    const output = outputOf(tuning, options, shapes, rows, largest)
    const { LANES, GROUPS, PASSES, ...rest } = output.params
    return {
      most: largest,
      kernel: isInteger ? kernels.intMatvec : kernels.matvec,
      params: {
        ...rest,
        ...{ LANES, GROUPS, PASSES, TILE_ROWS: rows, LEAST_SUBGROUP: tuning.leastSubgroup },
        ...inputNorm(options, largest),
        ...(!isInteger && { LOAD: '8' }),
      },
      bindings: { ...output.bindings, ...squaresOf(options, largest) },
      tile: [rows, PASSES * GROUPS * 4],
      across: 'outputs',
      packs: output.params.OUTPUT === 'gated',
    }
  })
}

interface Output {
  params: ParamValues & { LANES: number; GROUPS: number; PASSES: number }
  bindings: Record<string, BufferRange>
}

function outputOf(
  tuning: Tuning,
  options: MatmulOptions,
  shapes: FewRows,
  rows: number,
  most: number,
): Output {
  const { next, quantized, bias, weights } = options
  const shape = (each: Lanes, outputs: number) => {
    return { LANES: each.lanes, GROUPS: each.groups, PASSES: outputs / (each.groups * 4) }
  }
  if (next?.norm && most <= next.norm.most) {
    invariant(weights.rows % QUANT_GROUP === 0 && !bias, `a norm behind ${weights.rows} outputs`)
    return {
      params: {
        ...shape(fitting(shapes.residual, weights), QUANT_GROUP),
        OUTPUT: 'residual',
        NEXT: next.type,
      },
      bindings: {
        next: next.range,
        ...(next.type === 'int8' && { next_scales: next.scales }),
        next_weight: next.norm.weight,
        next_squares: next.norm.squares,
      },
    }
  }
  // A bias would have to be added in front of the gate: no model has one there.
  if (quantized && !bias) {
    invariant(quantized.type === 'int8', 'gated values are packed as int8')
    const lanes = rows <= ONE_ROW ? shapes.gated : shapes.more
    const params = shape(lanes, GATED_GROUP)
    const subgroups = (lanes.lanes * lanes.groups) / tuning.leastSubgroup
    if (params.PASSES * rows * subgroups * 16 <= PARTIAL_BYTES) {
      return {
        params: { ...params, OUTPUT: 'gated', NEXT: 'int8' },
        bindings: { next: quantized.range, next_scales: quantized.scales },
      }
    }
  }
  const lanes = rows <= ONE_ROW ? shapes.one : shapes.more
  const params = shape(lanes, lanes.groups * 4)
  return { params: { ...params, OUTPUT: 'f32', NEXT: 'none' }, bindings: {} }
}

/**
 * Lanes that all have the same number of steps, where half as many do and 128 stay: 26.2 instead of 26.7 µs for
 * int8 [4096, 14336] on an H100, whose 896 steps 256 lanes do not divide.
 */
function fitting({ lanes, groups }: Lanes, { stride, type }: Matrix): Lanes {
  const steps = type === 'f32' ? stride / 8 : rowBytes(stride, type) / 16
  const half = lanes / 2
  return steps % lanes !== 0 && steps % half === 0 && half >= 128
    ? { lanes: half, groups: groups * 2 }
    : { lanes, groups }
}

function inputNorm({ x }: MatmulOptions, most: number): ParamValues {
  if (!x.norm || most > x.norm.most) return { INPUT_NORM: 'none', SQUARES: 0, EPS: 0 }
  return { INPUT_NORM: 'divide', SQUARES: x.norm.dim / QUANT_GROUP, EPS: x.norm.eps }
}

function squaresOf({ x }: MatmulOptions, most: number): Record<string, BufferRange> {
  return x.norm && most <= x.norm.most ? { squares: x.norm.squares } : {}
}
