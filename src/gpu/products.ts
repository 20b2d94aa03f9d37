// Shapes of the kernels that multiply with weight matrices: what the text and the dispatch agree on.
import type { MatrixType } from './matrix.ts'

/** Invocations of the kernels for few rows. */
export interface Lanes {
  /** Along k, for four results of each row; a multiple of every subgroup size. */
  lanes: number
  /** Groups of so many in a workgroup. */
  groups: number
}

/** The kernels for few rows. */
export interface FewRows {
  /** For one or two rows. */
  one: Lanes
  /** For up to eight. */
  more: Lanes
  /** For one or two that are added to a residual, 32 outputs a workgroup: `groups` divides 8. */
  residual: Lanes
  /** Of integers: for one or two of gated values, 64 outputs a workgroup: `groups` divides 16. */
  gated: Lanes
}

/** Types of weights whose kernels differ. */
export type ProductType = 'floats' | 'int8' | 'int4'

/** Whose kernels a type of weights has. */
export function productType(type: MatrixType): ProductType {
  return type === 'f16' || type === 'f32' ? 'floats' : type
}

/** A tile of the kernels for many rows: kernels/tile.wgsl. */
export interface Tile {
  rows: number
  outputs: number
  rowsEach: number
  outputsEach: 4 | 8
  /** Steps along k in workgroup memory: of four floats, or of 32 integers. */
  steps: number
  /** Teams that share the steps. */
  slices: number
}

/** One tile size for up to so many rows. */
export interface TileChoice {
  most: number
  tile: Tile
  /** Of the same size, for matrices of few outputs: fewer tiles have to keep the GPU busy. */
  narrow?: Tile
}

/** Outputs from which a matrix is not narrow. */
export const WIDE_OUTPUTS = 8192

/** By rising numbers of rows; the last is for any number and has one slice. */
export interface ProductTuning {
  few: Readonly<Record<ProductType, FewRows>>
  /** For float weights. */
  floats: readonly TileChoice[]
  /** For integer weights. */
  ints: readonly TileChoice[]
}

const SMALL_LANES = { lanes: 128, groups: 1 }
const SMALL_FEW: FewRows = {
  ...{ one: SMALL_LANES, more: SMALL_LANES },
  ...{ residual: SMALL_LANES, gated: SMALL_LANES },
}
const SMALL = { rows: 32, outputs: 32, rowsEach: 4, outputsEach: 4 } as const

/** What software drivers compile within a second or two. */
export const SMALL_PRODUCTS: ProductTuning = {
  few: { floats: SMALL_FEW, int8: SMALL_FEW, int4: SMALL_FEW },
  floats: [
    { most: 64, tile: { ...SMALL, steps: 4, slices: 2 } },
    { most: Number.POSITIVE_INFINITY, tile: { ...SMALL, steps: 4, slices: 1 } },
  ],
  ints: [
    { most: 64, tile: { ...SMALL, steps: 1, slices: 2 } },
    { most: Number.POSITIVE_INFINITY, tile: { ...SMALL, steps: 1, slices: 1 } },
  ],
}

const FEW = { outputs: 32, rowsEach: 4, outputsEach: 4, steps: 4 } as const

/**
 * Measured on an H100 (2026-11) at the shapes of GLA-7B; bytes of a matrix for each second, or operations.
 * One row, float16: 2.0 to 2.9 TB/s with four subgroups along k, 1.7 to 2.8 with one. int8: 2.0 to 2.9 TB/s
 * with eight subgroups, 1.5 to 2.6 with one; int4: 1.6 to 2.7 with four. Workgroups for whole groups of
 * outputs lose a tenth of that where there are 4,096, and spare a norm of 3.5 µs.
 * 2,048 rows, float16: these tiles 35 to 38 TFLOP/s, 128 x 128 35 to 36, tiles of 64 x 64 with 4 x 4 each 26.
 * Integers: 71 to 79 TOP/s, 8 x 4 each 68 to 75, 4 x 4 each 67 to 72; 64 rows 51 to 66, with tiles of 64 rows
 * for narrow matrices 44 to 51; 32 rows 34 to 56.
 */
export const LARGE_PRODUCTS: ProductTuning = {
  few: {
    floats: {
      one: { lanes: 128, groups: 2 },
      more: { lanes: 64, groups: 4 },
      residual: { lanes: 128, groups: 8 },
      gated: { lanes: 128, groups: 2 },
    },
    int8: {
      one: { lanes: 256, groups: 1 },
      more: { lanes: 64, groups: 4 },
      residual: { lanes: 256, groups: 4 },
      gated: { lanes: 64, groups: 8 },
    },
    int4: {
      one: { lanes: 128, groups: 1 },
      more: { lanes: 64, groups: 4 },
      residual: { lanes: 128, groups: 8 },
      gated: { lanes: 128, groups: 4 },
    },
  },
  floats: [
    {
      most: 32,
      tile: { ...FEW, rows: 32, slices: 1 },
      narrow: { ...FEW, rows: 32, slices: 4 },
    },
    {
      most: 64,
      tile: { ...FEW, rows: 64, rowsEach: 8, slices: 2 },
      narrow: { ...FEW, rows: 32, slices: 4 },
    },
    {
      most: Number.POSITIVE_INFINITY,
      tile: { rows: 128, outputs: 128, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
      narrow: { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
    },
  ],
  ints: [
    {
      most: 32,
      tile: { ...FEW, rows: 32, steps: 2, slices: 2 },
      narrow: { ...FEW, rows: 32, slices: 2 },
    },
    {
      most: 64,
      tile: { ...FEW, rows: 64, slices: 1 },
      narrow: { ...FEW, rows: 32, slices: 2 },
    },
    {
      most: Number.POSITIVE_INFINITY,
      tile: { rows: 64, outputs: 64, rowsEach: 4, outputsEach: 8, steps: 2, slices: 1 },
    },
  ],
}

/** Memory of a workgroup that the largest of these tiles takes, rounded up. */
export const LARGE_PRODUCTS_BYTES = 32 * 1024
/** Invocations of the largest of these workgroups. */
export const LARGE_PRODUCTS_INVOCATIONS = 1024

const wide = (rowsEach: number, steps: number, slices: number): Tile => ({
  ...{ rows: 64, outputs: 32, outputsEach: 4 },
  ...{ rowsEach, steps, slices },
})

/** What is measured on a GPU that is not known. */
export interface Candidates {
  lanes: readonly Lanes[]
  floats: readonly Tile[]
  ints: readonly Tile[]
}

export const CANDIDATES: Candidates = {
  lanes: [
    { lanes: 128, groups: 1 },
    { lanes: 128, groups: 2 },
    { lanes: 256, groups: 1 },
    { lanes: 64, groups: 4 },
  ],
  floats: [
    { ...SMALL, steps: 4, slices: 1 },
    { ...SMALL, steps: 4, slices: 4 },
    wide(8, 4, 2),
    wide(8, 4, 4),
    { rows: 64, outputs: 64, rowsEach: 4, outputsEach: 4, steps: 4, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
    { rows: 64, outputs: 128, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
    { rows: 128, outputs: 128, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
  ],
  ints: [
    { ...SMALL, steps: 2, slices: 2 },
    { ...SMALL, steps: 4, slices: 2 },
    { ...SMALL, steps: 4, slices: 4 },
    wide(4, 4, 1),
    wide(4, 4, 2),
    wide(8, 2, 2),
    { rows: 64, outputs: 64, rowsEach: 4, outputsEach: 4, steps: 2, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 4, steps: 2, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 4, outputsEach: 8, steps: 2, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 8, steps: 2, slices: 1 },
  ],
}
