// Products of activations with weight matrices: which kernel makes which rows.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import type { Matrix } from '../matrix.ts'
import type { Grid, Plan, StepCounts } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import type { ParamValues, WgslSource } from '../wgsl.ts'

export interface MatmulOptions {
  step: StepTables
  /** [rows, inputStride] f32; the input of a row starts at inputOffset. */
  x: BufferRange
  /** [N, K] */
  weights: Matrix
  /** [rows, N] f32; for swiglu [rows, N / 2]. */
  y: BufferRange
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
  /** Numbers from one row of x to the next; K if undefined. */
  inputStride?: number
  inputOffset?: number
}

/** Rows of a step that one family of kernels makes: ROWS of kernels/product.wgsl. */
type RowSet = 'tokens' | 'decode_tokens' | 'prompt_tokens' | 'logit_rows'

const COUNT_OF: Readonly<Record<RowSet, (counts: StepCounts) => number>> = {
  tokens: (counts) => counts.tokens,
  decode_tokens: (counts) => counts.decodes,
  prompt_tokens: (counts) => counts.tokens - counts.decodes,
  logit_rows: (counts) => counts.logitRows,
}

/** Kernels for a set of rows, by rising numbers of rows. */
interface Family {
  rows: RowSet
  shapes: Shape[]
}

/** A kernel with its own parameters, for up to `most` rows. */
interface Shape {
  most: number
  kernel: WgslSource
  params: ParamValues
  /** Rows and outputs of one workgroup. */
  tile: [rows: number, outputs: number]
}

/**
 * y = x · weightsᵀ (+ bias), then the epilogue. Every row is made by one plan; the others have no
 * grid for the step, or make other rows. With `tuning.invariant` a row's results do not depend on
 * how many rows of either kind there are.
 */
export function matmul(tuning: Tuning, options: MatmulOptions): Plan[] {
  const { step, x, weights, y, bias } = options
  const { rows: N, columns: K } = weights
  const epilogue = options.epilogue ?? 'store'
  const inputStride = options.inputStride ?? K
  const inputOffset = options.inputOffset ?? 0
  invariant(epilogue !== 'swiglu' || N % 2 === 0, `swiglu over ${N} rows, which are no pairs`)
  invariant(
    inputOffset + K <= inputStride,
    `inputs ${inputOffset} + ${K} in rows of ${inputStride}`,
  )
  const aligned = [K, inputStride, inputOffset].every((number) => number % 4 === 0)
  const shared = {
    N,
    K,
    TAIL: K % 4,
    INPUT: aligned ? 'vec4' : 'scalar',
    INPUT_STRIDE: inputStride,
    INPUT_OFFSET: inputOffset,
    WEIGHTS: weights.type,
    WEIGHT_STRIDE: weights.stride,
    BIAS: bias ? 'vector' : 'none',
    EPILOGUE: epilogue,
  }
  return families(tuning, options.rows ?? 'tokens').flatMap(({ rows, shapes }) => {
    const least = (i: number) => (i === 0 ? 1 : shapes[i - 1].most + 1)
    return shapes
      .map((shape, i) => ({
        kernel: shape.kernel,
        params: { ...shared, ROWS: rows, ...shape.params },
        bindings: { counts: step.counts, x, weights: weights.range, y, ...(bias && { bias }) },
        grid: gridOf(shape, least(i), N, rows),
      }))
      .filter((_, i) => least(i) <= options.maxRows)
  })
}

function gridOf(shape: Shape, least: number, N: number, rows: RowSet): Grid {
  const [tileRows, tileOutputs] = shape.tile
  const across = Math.ceil(N / tileOutputs)
  return (counts: StepCounts) => {
    const count = COUNT_OF[rows](counts)
    if (count < least || count > shape.most) return undefined
    return [across, Math.ceil(count / tileRows), 1]
  }
}

/**
 * The matvec and the tiled kernel sum in different orders. Where that must not show, the kind of a
 * row chooses between them: a step of both kinds then reads the weights twice.
 */
function families(tuning: Tuning, rows: 'tokens' | 'logit_rows'): Family[] {
  if (tuning.variant === 'plain') return [{ rows, shapes: plainShapes() }]
  const unlimited = Number.POSITIVE_INFINITY
  if (!tuning.invariant) return [{ rows, shapes: [...matvecShapes(8), ...tiledShapes()] }]
  // Texts that may run in subgroups of different sizes sum in different orders: one of them for all.
  const matvec = matvecShapes(unlimited).slice(tuning.subgroupSizesVary ? -1 : 0)
  if (rows === 'logit_rows') return [{ rows, shapes: matvec }]
  return [
    { rows: 'decode_tokens', shapes: matvec },
    { rows: 'prompt_tokens', shapes: tiledShapes() },
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
  const workgroup = 16
  return [1, 2, 4, 8].map((tileRows) => ({
    most: tileRows === 8 ? Number.POSITIVE_INFINITY : tileRows,
    kernel: kernels.matmul,
    params: { LOAD: '4', WORKGROUP: workgroup, TILE_ROWS: tileRows },
    tile: [tileRows, workgroup * 4],
  }))
}

/** @param most rows of the largest step that the widest tile serves */
function matvecShapes(most: number): Shape[] {
  const outputs = 16
  return [1, 2, 4, 8].map((tileRows) => ({
    most: tileRows === 8 ? most : tileRows,
    kernel: kernels.matvec,
    params: { LOAD: '8', WORKGROUP: 128, OUTPUTS: outputs, TILE_ROWS: tileRows },
    tile: [tileRows, outputs],
  }))
}

/**
 * Not tuned yet: the tiled kernel's workgroup memory (4 and 8 KiB) and invocations (64 and 256)
 * fit every adapter; the smaller tile keeps more of a GPU busy where there are few rows.
 */
function tiledShapes(): Shape[] {
  return [32, 64].map((tile) => ({
    most: tile === 32 ? 64 : Number.POSITIVE_INFINITY,
    kernel: kernels.matmulTiled,
    params: {
      LOAD: '4',
      WORKGROUP: (tile / 4) ** 2,
      TILE_ROWS: tile,
      TILE_OUTPUTS: tile,
      TILE_K: 16,
    },
    tile: [tile, tile],
  }))
}
