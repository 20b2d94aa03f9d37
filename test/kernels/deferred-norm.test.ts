// Norms in two halves: a product that adds to a residual, the norm behind it, and the product after that.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Activations, allocateActivations } from '../../src/gpu/activations.ts'
import { isQuantized, type Matrix, type MatrixType, QUANT_GROUP } from '../../src/gpu/matrix.ts'
import { matmul } from '../../src/gpu/ops/matmul.ts'
import { rmsNorm } from '../../src/gpu/ops/norm.ts'
import { quantize } from '../../src/gpu/ops/quantize.ts'
import { SMALL_PRODUCTS } from '../../src/gpu/products.ts'
import { openTestGpu, segmentsOf } from '../helpers/gpu.ts'
import { packNibbles, randomGroups, uploadBytes } from '../helpers/integers.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { matmul as exactProduct } from '../oracle/matmul.ts'
import { rmsNorm as exactNorm } from '../oracle/norm.ts'

setDefaultTimeout(60_000)
const gpu = await openTestGpu()
/** Rows up to which norms are deferred, and rows of the buffers. */
const MOST = 2
const ROWS = 4
const EPS = 1e-5

interface TestMatrix {
  matrix: Matrix
  /** [rows, columns] */
  values: Float32Array
}

async function randomMatrix(
  random: Random,
  type: MatrixType,
  rows: number,
  columns: number,
): Promise<TestMatrix> {
  if (!isQuantized(type)) {
    const values = random.normals(rows * columns)
    const range = await gpu.input(values)
    return { matrix: { range, rows, columns, stride: columns, type }, values }
  }
  const { ints, scales, stride, values } = randomGroups(
    random,
    rows,
    columns,
    type === 'int8' ? [-127, 127] : [-8, 7],
  )
  const bytes = type === 'int8' ? ints : packNibbles(ints)
  const range = await uploadBytes(gpu.buffers, 'weights', bytes)
  const halves = new Uint8Array(new Float16Array(scales).buffer)
  const uploaded = await uploadBytes(gpu.buffers, 'scales', halves)
  return { matrix: { range, rows, columns, stride, type, scales: uploaded }, values }
}

/** Rows for a product, all NaN or, as bytes, 127. */
function poisoned(type: MatrixType, dim: number): Promise<Activations> {
  const allocate = async (name: string, bytes: number) =>
    name.endsWith('int8')
      ? uploadBytes(gpu.buffers, name, new Uint8Array(bytes).fill(127))
      : gpu.output(bytes / 4)
  return allocateActivations(allocate, 'activations', type, ROWS, dim)
}

async function run(type: MatrixType, rows: number, products = SMALL_PRODUCTS) {
  const [K, D, M] = [160, 96, 40]
  const random = new Random(rows)
  const before = await randomMatrix(random, type, D, K)
  const behind = await randomMatrix(random, type, M, D)
  const x = random.normals(rows * K)
  const residual = random.normals(rows * D)
  const gamma = random.normals(D)
  const tuning = { ...gpu.tuning('subgroup', type), products }
  const { tables: step, counts } = await gpu.step(segmentsOf([rows]))

  const input = await poisoned(type, K)
  const y = await gpu.output(ROWS * D)
  gpu.gpu.device.queue.writeBuffer(y.buffer, 0, residual)
  const weight = await gpu.input(gamma)
  const norm = { most: MOST, weight, dim: D, eps: EPS }
  const squares = await gpu.output((MOST * D) / QUANT_GROUP)
  const next: Activations = { ...(await poisoned(type, D)), norm: { ...norm, squares } }
  const result = await gpu.output(ROWS * M)
  const floats = await gpu.input(x)
  const shared = { step, maxRows: ROWS }
  const plans = [
    ...(input.type === 'int8' ? [quantize(tuning, { step, x: floats, y: input, dim: K })] : []),
    ...matmul(tuning, {
      ...shared,
      x: input.type === 'int8' ? input : { type: 'f32', range: floats },
      ...{ weights: before.matrix, y, epilogue: 'add', next },
    }),
    rmsNorm(tuning, { step, x: y, y: next, weight, dim: D, eps: EPS }),
    ...matmul(tuning, { ...shared, x: next, weights: behind.matrix, y: result }),
  ].filter((plan) => plan.grid(counts) !== undefined)
  await gpu.run(plans, counts)

  const added = exactProduct({
    ...{ x, weights: before.values, rows, N: D, K, epilogue: 'add', y: residual },
  })
  const normed = exactNorm(added, D, EPS, gamma)
  const expected = exactProduct({ x: normed, weights: behind.values, rows, N: M, K: D })
  return { plans, expected, added, y, squares, result, sizes: { D, M } }
}

describe.each(['f32', 'int8', 'int4'] as const)('%s weights', (type) => {
  // Two roundings to eight bits, each off by half a step of 127 at most.
  const allowed = type === 'f32' ? 2e-6 : 2e-2

  test.each([
    { rows: 1, products: SMALL_PRODUCTS },
    { rows: 2, products: SMALL_PRODUCTS },
    { rows: 3, products: SMALL_PRODUCTS },
  ])('$rows rows', async ({ rows, products }) => {
    const { plans, expected, added, y, squares, result, sizes } = await run(type, rows, products)
    const names = plans.map(({ kernel }) => kernel.name)
    expect(names.includes('norm.wgsl')).toBe(rows > MOST)

    const results = await gpu.read(result)
    expect(rmsError(results.subarray(0, rows * sizes.M), expected)).toBeLessThan(allowed)
    expect(results.subarray(rows * sizes.M).every(Number.isNaN)).toBe(true)
    const sums = await gpu.read(y)
    expect(rmsError(sums.subarray(0, rows * sizes.D), added)).toBeLessThan(allowed)
    expect(sums.subarray(rows * sizes.D).every(Number.isNaN)).toBe(true)

    const parts = sizes.D / QUANT_GROUP
    for (const [i, found] of (await gpu.read(squares)).entries()) {
      if (rows > MOST || i >= rows * parts) expect(found).toBeNaN()
      else {
        const group = added.subarray(i * QUANT_GROUP, (i + 1) * QUANT_GROUP)
        const exact = group.reduce((sum, value) => sum + value * value, 0)
        expect(Math.abs(found / exact - 1)).toBeLessThan(2 * allowed)
      }
    }
  })
})
