// Products of many rows by matrix units: when, and in which tiles.
import { kernels } from '../../../kernels/index.ts'
import { alignUp } from '../buffers.ts'
import { isQuantized } from '../matrix.ts'
import { type MatrixUnits, PART_SIDE, TILE_K } from '../matrix-units.ts'
import type { Tuning } from '../tuning.ts'
import type { ParamValues } from '../wgsl.ts'
import type { MatmulOptions, Shape } from './matmul.ts'

/** Parts of a tile, each of a subgroup, along its rows and along its outputs. */
const PARTS = 2
const TILE_SIDE = PARTS * PART_SIDE

/**
 * The shape for any number of rows, undefined where tiles of plain arithmetic are to make them: without
 * units, for float32 weights that float16 units would round, and where rows must have the same bits in
 * steps of all sizes.
 */
export function matrixShape(
  { matrixUnits: units, invariant }: Tuning,
  { weights }: Pick<MatmulOptions, 'weights'>,
): Shape | undefined {
  if (!units || invariant || isQuantized(weights.type)) return undefined
  if (units.inputs === 'f16' && weights.type !== 'f16') return undefined
  const workgroup = alignUp(PARTS ** 2 * units.subgroupSize, units.subgroupMaxSize)
  const loads = Math.ceil((TILE_SIDE * TILE_K[units.inputs]) / 4 / workgroup)
  return {
    most: Number.POSITIVE_INFINITY,
    kernel: kernels.matmulMatrix,
    params: {
      ...unitParams(units),
      ROW_PARTS: PARTS,
      OUTPUT_PARTS: PARTS,
      ROW_UNITS: PART_SIDE / units.rows,
      OUTPUT_UNITS: PART_SIDE / units.outputs,
      K_UNITS: TILE_K[units.inputs] / units.k,
      WORKGROUP: workgroup,
      X_LOADS: loads,
      W_LOADS: loads,
      LOAD: '4',
    },
    tile: [TILE_SIDE, TILE_SIDE],
    across: 'rows',
  }
}

/** The parameters of kernels/matrix_units.wgsl. */
export function unitParams(
  kind: Pick<MatrixUnits, 'rows' | 'outputs' | 'k' | 'inputs'>,
): ParamValues {
  return { UNIT_ROWS: kind.rows, UNIT_OUTPUTS: kind.outputs, UNIT_K: kind.k, INPUTS: kind.inputs }
}
