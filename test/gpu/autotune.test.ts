// Choosing shapes by measuring: the fastest that runs, and what cannot run is left out.
import { expect, setDefaultTimeout, test } from 'bun:test'
import { autotune } from '../../src/gpu/autotune.ts'
import { SMALL_PRODUCTS, type Tile } from '../../src/gpu/products.ts'
import { openTestGpu } from '../helpers/gpu.ts'

setDefaultTimeout(60_000)
const { gpu, tuning } = await openTestGpu()
const sizes = { hiddenSize: 64, innerSize: 64 }
const before: Tile = { rows: 32, outputs: 32, rowsEach: 4, outputsEach: 4, steps: 1, slices: 1 }
const products = {
  ...SMALL_PRODUCTS,
  floats: [{ most: Number.POSITIVE_INFINITY, tile: before }],
}
/** More workgroup memory than any adapter has. */
const tooLarge: Tile = { ...before, rows: 4096, outputs: 4096 }
const lanes = [
  { lanes: 64, groups: 1 },
  { lanes: 2 ** 16, groups: 1 },
]

test('what does not run is not chosen', async () => {
  const found = await autotune(gpu, { ...tuning('subgroup', 'f32'), products }, sizes, {
    ...{ lanes, floats: [tooLarge], ints: [] },
  })
  expect(found.floats).toEqual(products.floats)
  for (const part of [found.few.floats.one, found.few.floats.more]) {
    expect([SMALL_PRODUCTS.few.floats.one, lanes[0]]).toContainEqual(part)
  }
  expect(found.few.int8).toEqual(products.few.int8)
})

test('what runs is taken in place of what does not', async () => {
  const fits: Tile = { ...before, steps: 4 }
  const only = { floats: [fits], lanes: [], ints: [] }
  const start = { ...products, floats: [{ most: 64, tile: tooLarge }, ...products.floats] }
  const found = await autotune(gpu, { ...tuning('subgroup', 'f32'), products: start }, sizes, only)
  expect(found.floats[0]).toMatchObject({ most: 64, tile: fits })
})
