// Products of activations with weight matrices: which kernel makes which rows.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { Activations } from '../activations.ts'
import type { BufferRange } from '../buffers.ts'
import { isQuantized, type Matrix } from '../matrix.ts'
import { type Tile, WIDE_OUTPUTS } from '../products.ts'
import type { Grid, Plan, StepCounts } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import type { ParamValues, WgslSource } from '../wgsl.ts'
import { fewRowShapes, ROW_TILES } from './few-rows.ts'
import { matrixShape } from './matrix-shape.ts'
import { quantize } from './quantize.ts'
import { type RowSet, rowCount } from './rows.ts'

export interface MatmulOptions {
  step: StepTables
  /** [rows, K]; integers for integer weights. */
  x: Activations
  /** [N, K] */
  weights: Matrix
  /** [rows, N] f32; for swiglu [rows, N / 2]. */
  y: BufferRange
  /** Of swiglu with integer weights: takes y as integers; y is scratch memory then. */
  quantized?: Activations
  /**
   * Of `add`, with a deferred norm: becomes the norm's result where few rows are made, y · weight
   * with its sums of squares. Elsewhere the norm is made by itself.
   */
  next?: Activations
  /** Which count of the step is the number of rows; tokens if undefined. */
  rows?: 'tokens' | 'logit_rows'
  /** Most rows a step can hold: variants that can never run are not compiled. */
  maxRows: number
  /** [N] f32 */
  bias?: BufferRange
  /**
   * `store` (if undefined) writes y; `add` adds to y; `swiglu` takes weight rows 2r and 2r + 1 as
   * gate and up and writes y[r] = silu(gate) · up.
   */
  epilogue?: 'store' | 'add' | 'swiglu'
}

/** Kernels for a set of rows, by rising numbers of rows. */
interface Family {
  rows: RowSet
  shapes: Shape[]
}

/** A kernel with its own parameters and bindings, for up to `most` rows. */
export interface Shape {
  most: number
  kernel: WgslSource
  params: ParamValues
  bindings?: Readonly<Record<string, BufferRange>>
  /** Rows and outputs of one workgroup. */
  tile: [rows: number, outputs: number]
  /** Which of the two is the grid's x: what neighbours share stays in the cache. */
  across: 'rows' | 'outputs'
  /** It writes `quantized` itself. */
  packs?: boolean
}

/**
 * y = x · weightsᵀ (+ bias), then the epilogue. Every row is made by one plan; the others have no
 * grid for the step, or make other rows. With `tuning.invariant` a row's results do not depend on
 * how many rows of either kind there are.
 */
export function matmul(tuning: Tuning, options: MatmulOptions): Plan[] {
  const { step, weights, y, bias, quantized, maxRows } = options
  const { rows: N, columns: K } = weights
  const epilogue = options.epilogue ?? 'store'
  invariant(epilogue !== 'swiglu' || N % 2 === 0, `swiglu over ${N} rows, which are no pairs`)
  invariant(!quantized || epilogue === 'swiglu', 'only gated values are quantized behind a product')
  invariant(!options.next || epilogue === 'add', 'only residuals are normalised behind a product')
  const shared = {
    N,
    K,
    WEIGHTS: weights.type,
    WEIGHT_STRIDE: weights.stride,
    BIAS: bias ? 'vector' : 'none',
    EPILOGUE: epilogue,
    ...(!isQuantized(weights.type) && { TAIL: K % 4, INPUT: K % 4 === 0 ? 'vec4' : 'scalar' }),
  }
  const bindings = {
    counts: step.counts,
    weights: weights.range,
    y,
    ...inputBindings(options),
    ...(bias && { bias }),
  }
  return families(tuning, options).flatMap(({ rows, shapes }) => {
    const least = (i: number) => (i === 0 ? 1 : shapes[i - 1].most + 1)
    return shapes.flatMap((shape, i) => {
      if (least(i) > maxRows) return []
      const grid = gridOf(shape, least(i), N, rows)
      const plan: Plan = {
        kernel: shape.kernel,
        params: { ...shared, ROWS: rows, ...shape.params },
        bindings: { ...bindings, ...shape.bindings },
        grid,
      }
      if (!quantized || shape.packs) return [plan]
      const packed = quantize(tuning, { step, x: y, y: quantized, dim: N / 2, rows })
      return [plan, { ...packed, grid: (counts) => grid(counts) && packed.grid(counts) }]
    })
  })
}

function inputBindings({ x, weights }: MatmulOptions): Record<string, BufferRange> {
  if (!isQuantized(weights.type)) {
    invariant(x.type === 'f32', 'float weights take float activations')
    return { x: x.range }
  }
  invariant(x.type === 'int8' && weights.scales, `${weights.type} weights take int8 activations`)
  invariant(x.stride === weights.stride, `rows of ${x.stride} for weights of ${weights.stride}`)
  return { x: x.range, x_scales: x.scales, weight_scales: weights.scales }
}

function gridOf(shape: Shape, least: number, N: number, rows: RowSet): Grid {
  const [tileRows, tileOutputs] = shape.tile
  const outputs = Math.ceil(N / tileOutputs)
  return (counts: StepCounts) => {
    const count = rowCount(rows, counts)
    if (count < least || count > shape.most) return undefined
    const tiles = Math.ceil(count / tileRows)
    return shape.across === 'rows' ? [tiles, outputs, 1] : [outputs, tiles, 1]
  }
}

/**
 * The kernels for few rows and the tiled ones sum in different orders, as do tiles of different slices.
 * Where that must not show, the kind of a row chooses: a step of both kinds then reads the weights twice,
 * and many decode rows read them once for each eight.
 */
function families(tuning: Tuning, options: MatmulOptions): Family[] {
  const rows = options.rows ?? 'tokens'
  const isInteger = isQuantized(options.weights.type)
  if (tuning.variant === 'plain') {
    return [{ rows, shapes: isInteger ? plainIntShapes() : plainShapes() }]
  }
  const unlimited = Number.POSITIVE_INFINITY
  const few = (most: number) => fewRowShapes(tuning, options, most)
  const tiled = isInteger ? tuning.products.ints : tuning.products.floats
  const isNarrow = options.weights.rows < WIDE_OUTPUTS
  const many = tiled.map(({ most, tile, narrow }) =>
    tiledShape((isNarrow && narrow) || tile, most, options.weights.type),
  )
  const matrices = matrixShape(tuning, options)
  if (matrices) many[many.length - 1] = matrices
  if (!tuning.invariant) return [{ rows, shapes: [...few(8), ...many] }]
  // Texts that may run in subgroups of different sizes sum in different orders: one of them for all.
  const alike = few(unlimited).slice(tuning.subgroupSizesVary ? -1 : 0)
  if (rows === 'logit_rows') return [{ rows, shapes: alike }]
  return [
    { rows: 'decode_tokens', shapes: alike },
    { rows: 'prompt_tokens', shapes: many.slice(-1) },
  ]
}

/**
 * Measured 2026-11 on SwiftShader and two shared cores, 1408 x 256, f32 weights, ns for each
 * product and core: loads are the cost, since a lane fetches its own row's words one by one.
 * 1 row: tile 1 x 1 4.8, 1 x 2 3.7, 1 x 4 3.1, 1 x 8 3.6; lanes along k with subgroupAdd 4.1; four
 * rows of weights interleaved 4.5. 8 rows: 1 x 4 2.5, 4 x 4 1.4, 8 x 4 1.0 (64 rows: 0.9).
 * Workgroups of 4 to 64 differ by less than 10 %; a second step of k in the loop gains nothing.
 * f16 words take 1.7 times as long to read as f32 at 1 row and 1.4 times at 8.
 */
function plainShapes(): Shape[] {
  return rowShapes(Number.POSITIVE_INFINITY, kernels.matmul, { LOAD: '4', WORKGROUP: 16 }, 64)
}

function plainIntShapes(): Shape[] {
  return rowShapes(Number.POSITIVE_INFINITY, kernels.intMatmul, { WORKGROUP: 16 }, 64)
}

function rowShapes(
  most: number,
  kernel: WgslSource,
  params: ParamValues,
  outputs: number,
): Shape[] {
  return ROW_TILES.map((rows) => ({
    most: rows === ROW_TILES.at(-1) ? most : rows,
    kernel,
    params: { ...params, TILE_ROWS: rows },
    tile: [rows, outputs],
    across: 'outputs',
  }))
}

function tiledShape(tile: Tile, most: number, type: Matrix['type']): Shape {
  const isInteger = isQuantized(type)
  const team = (tile.rows / tile.rowsEach) * (tile.outputs / tile.outputsEach)
  const loads = (elements: number) => Math.ceil(elements / team)
  // Elements of 16 bytes for each step along k: two of int8, one of int4.
  const perStep = isInteger ? 2 : 1
  return {
    most,
    kernel: isInteger ? kernels.intMatmulTiled : kernels.matmulTiled,
    params: {
      TILE_ROWS: tile.rows,
      TILE_OUTPUTS: tile.outputs,
      ROWS_EACH: tile.rowsEach,
      OUTPUTS_EACH: tile.outputsEach,
      SLICES: tile.slices,
      X_LOADS: loads(tile.rows * tile.steps * perStep),
      W_LOADS: loads(tile.outputs * tile.steps * (type === 'int8' ? 2 : 1)),
      ...(isInteger
        ? {
            TILE_GROUPS: tile.steps,
            X_SCALES: loads(tile.rows * tile.steps),
            W_SCALES: loads(tile.outputs * tile.steps),
          }
        : { LOAD: '4', TILE_STEPS: tile.steps }),
    },
    tile: [tile.rows, tile.outputs],
    across: 'rows',
  }
}
