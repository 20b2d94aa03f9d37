// What the fused decode steps have in common: which shapes kernels/sweep.wgsl serves.
import type { Tuning } from '../tuning.ts'

/** Invocations of a workgroup: as many as every adapter allows. */
const WORKGROUP = 256

/**
 * Rows of the state that an invocation loads before it needs the first: with 8, all that one of a 7B
 * GSA layer has, and half of a GLA layer's, 32 KiB for each workgroup.
 */
const AHEAD = 8

/** Workgroup memory that every adapter has. */
const MEMORY = 16384

/** State matrices [rows, columns] of a kv head, and the query heads that read them. */
export interface SweepShape {
  heads: number
  kvHeads: number
  sweeps: { rows: number; columns: number }[]
}

/** Parameters that a fused step hands to kernels/sweep.wgsl. */
export function sweepParams({ heads, kvHeads, sweeps }: SweepShape) {
  const rows = sweeps.reduce((sum, sweep) => sum + sweep.rows, 0)
  const group = heads / kvHeads
  const places = group <= 4 ? 4 : 8
  return { WORKGROUP, GROUP: group, HEAD_PLACES: places, TABLE_ROWS: rows, AHEAD }
}

/**
 * Whether one workgroup can do a token's step of a kv head: at most 8 query heads, columns in blocks
 * of four with no more of them over all query heads than invocations, and tables that fit. CPUs pay
 * for barriers and stay with the separate kernels.
 */
export function sweepFits(tuning: Tuning, shape: SweepShape): boolean {
  const { GROUP, HEAD_PLACES, TABLE_ROWS } = sweepParams(shape)
  const tables = TABLE_ROWS * 4 * (2 + HEAD_PLACES)
  // Sums of two heads, and two numbers of each block: maxima, sums of squares or of weights.
  const sums = WORKGROUP * (2 * 16 + 2 * 4)
  return (
    tuning.variant === 'subgroup' &&
    GROUP <= 8 &&
    shape.sweeps.every(({ columns }) => columns % 4 === 0 && GROUP * (columns / 4) <= WORKGROUP) &&
    tables + sums <= MEMORY
  )
}
