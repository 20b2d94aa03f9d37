// Shapes of the kernels that multiply with weight matrices: what the text and the dispatch agree on.

/** Invocations of the kernels for few rows. */
export interface Lanes {
  /** Along k, for four results of each row; a multiple of every subgroup size. */
  lanes: number
  /** Groups of so many in a workgroup. */
  groups: number
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
export const WIDE_OUTPUTS = 5120

/** By rising numbers of rows; the last is for any number and has one slice. */
export interface ProductTuning {
  lanes: Lanes
  /** For float weights. */
  floats: readonly TileChoice[]
  /** For integer weights. */
  ints: readonly TileChoice[]
}

const SMALL = { rows: 32, outputs: 32, rowsEach: 4, outputsEach: 4 } as const

/** What software drivers compile within a second or two. */
export const SMALL_PRODUCTS: ProductTuning = {
  lanes: { lanes: 128, groups: 1 },
  floats: [
    { most: 64, tile: { ...SMALL, steps: 4, slices: 2 } },
    { most: Number.POSITIVE_INFINITY, tile: { ...SMALL, steps: 4, slices: 1 } },
  ],
  ints: [
    { most: 64, tile: { ...SMALL, steps: 1, slices: 2 } },
    { most: Number.POSITIVE_INFINITY, tile: { ...SMALL, steps: 1, slices: 1 } },
  ],
}

const FEW = { outputs: 32, outputsEach: 4, slices: 4 } as const

/**
 * Measured on an H100 (2026-11-23) at the shapes of GLA-7B. One row, float16: 2.0 to 2.9 TB/s with four
 * subgroups along k, 1.7 to 2.8 with one. 2,048 rows, float16: these tiles 35 to 38 TFLOP/s, 128 x 128 35 to
 * 36, tiles of 64 x 64 with 4 x 4 each 26. Integers: 71 to 76 TOP/s, 64 x 128 68 to 72, 128 x 64 66 to 72,
 * 64 x 64 with 4 x 4 each 57 to 62. 64 rows of integers, two slices: 40 to 60 TOP/s, narrow matrices 43 to 49;
 * four slices 34 to 45.
 */
export const LARGE_PRODUCTS: ProductTuning = {
  lanes: { lanes: 128, groups: 2 },
  floats: [
    { most: 32, tile: { ...FEW, rows: 32, rowsEach: 4, steps: 4 } },
    { most: 64, tile: { ...FEW, rows: 64, rowsEach: 8, steps: 4 } },
    {
      most: Number.POSITIVE_INFINITY,
      tile: { rows: 64, outputs: 128, rowsEach: 8, outputsEach: 8, steps: 4, slices: 1 },
    },
  ],
  ints: [
    { most: 32, tile: { ...FEW, rows: 32, rowsEach: 4, steps: 2 } },
    {
      most: 64,
      tile: { ...FEW, rows: 64, rowsEach: 8, steps: 2, slices: 2 },
      narrow: { ...FEW, rows: 64, rowsEach: 4, steps: 4, slices: 2 },
    },
    {
      most: Number.POSITIVE_INFINITY,
      tile: { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 4, steps: 2, slices: 1 },
    },
  ],
}

/** Memory of a workgroup that the largest of these tiles takes, rounded up. */
export const LARGE_PRODUCTS_BYTES = 32 * 1024

/** Shapes that are worth measuring on a GPU that is not known. */
export const LANE_CANDIDATES: readonly Lanes[] = [
  { lanes: 128, groups: 1 },
  { lanes: 128, groups: 2 },
  { lanes: 256, groups: 1 },
]

const wide = (rowsEach: number, steps: number, slices: number): Tile => ({
  ...{ rows: 64, outputs: 32, outputsEach: 4 },
  ...{ rowsEach, steps, slices },
})

export const TILE_CANDIDATES: Readonly<Record<'floats' | 'ints', readonly Tile[]>> = {
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
    { ...SMALL, steps: 2, slices: 4 },
    wide(8, 2, 1),
    wide(8, 2, 2),
    wide(8, 2, 4),
    wide(4, 4, 2),
    { rows: 64, outputs: 64, rowsEach: 4, outputsEach: 4, steps: 2, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 4, steps: 2, slices: 1 },
    { rows: 64, outputs: 64, rowsEach: 8, outputsEach: 4, steps: 4, slices: 1 },
    { rows: 128, outputs: 64, rowsEach: 8, outputsEach: 4, steps: 2, slices: 1 },
  ],
}
