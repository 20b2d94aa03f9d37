import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { type MatmulOptions, matmul as plans } from '../../src/gpu/ops/matmul.ts'
import { LARGE_PRODUCTS } from '../../src/gpu/products.ts'
import type { StepCounts } from '../../src/gpu/program.ts'
import type { Tuning, Variant } from '../../src/gpu/tuning.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { matmul } from '../oracle/matmul.ts'

// A software driver takes seconds to compile the tiled kernel on a busy machine.
setDefaultTimeout(60_000)
const gpu = await openTestGpu()

interface Case {
  rows: number
  N: number
  K: number
  type?: 'f16' | 'f32'
  bias?: boolean
  epilogue?: MatmulOptions['epilogue']
  /** The rows are those of logits in a step of more tokens. */
  logits?: boolean
}

/** Runs one product with NaN around everything the kernel may touch; returns its error. */
async function errorOf(variant: Variant, options: Case, tuning?: Tuning): Promise<number> {
  const { rows, N, K, type = 'f32', epilogue = 'store' } = options
  const random = new Random(rows * 7919 + N * 31 + K)
  const x = new Float32Array((rows + 1) * K).fill(Number.NaN)
  for (let row = 0; row < rows; row++) x.set(random.normals(K), row * K)
  const weights = stored(random.normals(N * K, K ** -0.5), type)
  const bias = options.bias ? random.normals(N) : undefined
  const width = epilogue === 'swiglu' ? N / 2 : N
  const before = new Float32Array((rows + 2) * width).fill(Number.NaN)
  if (epilogue === 'add') before.set(random.normals(rows * width))
  const y = await gpu.input(before)
  const segments = segmentsOf(options.logits ? [rows, 5] : [rows])
  segments[0].logits = 'all'
  const step = await gpu.step(segments)
  const all = plans(tuning ?? gpu.tuning(variant, type), {
    step: step.tables,
    x: floats(await gpu.input(x)),
    weights: await uploadMatrix(gpu.buffers, 'weights', weights, N, K, type),
    y,
    maxRows: rows,
    epilogue,
    ...(bias && { bias: await gpu.input(bias) }),
    rows: options.logits ? 'logit_rows' : 'tokens',
  })
  // Only what runs is compiled, which saves most of the test's time.
  const used = all.filter((plan) => plan.grid(step.counts) !== undefined)
  expect(used.length).toBe(1)
  await gpu.run(used, step.counts)
  const result = await gpu.read(y)
  expect(result.subarray(rows * width).every(Number.isNaN)).toBe(true)
  return rmsError(
    result.subarray(0, rows * width),
    matmul({ x, weights, rows, N, K, bias, epilogue, y: before }),
  )
}

/** The values a matrix of this type holds. */
function stored(values: Float32Array, type: 'f16' | 'f32'): Float32Array {
  return type === 'f16' ? new Float32Array(new Float16Array(values)) : values
}

describe.each(variants)('matmul, %s', (variant) => {
  describe.each(['f32', 'f16'] as const)('%s weights', (type) => {
    test.each([
      { rows: 1, N: 1, K: 1 },
      { rows: 1, N: 528, K: 256 },
      { rows: 2, N: 60, K: 60 },
      { rows: 4, N: 97, K: 97 },
      { rows: 7, N: 35, K: 1000 },
      { rows: 8, N: 16, K: 4096 },
      { rows: 13, N: 35, K: 97 },
      { rows: 70, N: 66, K: 60 },
    ])('[$rows, $K] by [$N, $K]', async ({ rows, N, K }) => {
      expect(await errorOf(variant, { rows, N, K, type })).toBeLessThan(2e-6)
    })
  })

  test.each([
    { rows: 3, N: 37, K: 24, epilogue: 'add' },
    { rows: 11, N: 37, K: 24, epilogue: 'add' },
    { rows: 3, N: 37, K: 24, bias: true },
    { rows: 11, N: 37, K: 24, bias: true },
    { rows: 3, N: 38, K: 24, epilogue: 'swiglu' },
    { rows: 11, N: 38, K: 24, epilogue: 'swiglu', type: 'f16' },
    { rows: 1, N: 10, K: 24, epilogue: 'swiglu', bias: true },
    { rows: 5, N: 9, K: 24, epilogue: 'add', bias: true, type: 'f16' },
  ] as Case[])('epilogue %j', async (options) => {
    expect(await errorOf(variant, options)).toBeLessThan(2e-6)
  })

  test.each([
    { rows: 2, N: 20, K: 10 },
    { rows: 10, N: 20, K: 10 },
    { rows: 3, N: 20, K: 3 },
    { rows: 10, N: 20, K: 7 },
  ])('reads nothing past the ends of rows: %j', async (options) => {
    expect(await errorOf(variant, options)).toBeLessThan(2e-6)
  })

  test.each([1, 6, 12])('%i rows of logits in a step of more tokens', async (rows) => {
    expect(await errorOf(variant, { rows, N: 21, K: 40, logits: true })).toBeLessThan(2e-6)
  })

  test('a vocabulary of 131072, and 2048 rows', async () => {
    expect(await errorOf(variant, { rows: 1, N: 131072, K: 4, type: 'f16' })).toBeLessThan(2e-6)
    expect(await errorOf(variant, { rows: 2048, N: 6, K: 8 })).toBeLessThan(2e-6)
  })

  test('every number of rows has one plan, and none is made for more than there can be', async () => {
    const step = await gpu.step(segmentsOf([1]))
    const weights = await uploadMatrix(gpu.buffers, 'weights', new Float32Array(64), 8, 8, 'f32')
    const shared = { step: step.tables, x: floats(weights.range), y: weights.range, weights }
    const counts = (tokens: number): StepCounts => ({ ...step.counts, tokens })
    const all = plans(gpu.tuning(variant), { ...shared, maxRows: 2048 })
    for (const tokens of [...Array(140).keys(), 512, 2048]) {
      const used = all.filter((plan) => plan.grid(counts(tokens)) !== undefined)
      expect(used.length).toBe(tokens === 0 ? 0 : 1)
    }
    const few = plans(gpu.tuning(variant), { ...shared, maxRows: 2 })
    expect(few.length).toBe(2)
    expect(few.map((plan) => plan.params.TILE_ROWS)).toEqual([1, 2])
  })

  test('odd swiglu matrices are refused', async () => {
    const step = await gpu.step(segmentsOf([1]))
    const weights = await uploadMatrix(gpu.buffers, 'weights', new Float32Array(63), 7, 9, 'f32')
    const options = { x: floats(weights.range), y: weights.range, weights, maxRows: 1 }
    const swiglu = { step: step.tables, ...options, epilogue: 'swiglu' as const }
    expect(() => plans(gpu.tuning(variant), swiglu)).toThrow('7 rows')
  })
})

describe('the tiles of GPUs', () => {
  const tuning = { ...gpu.tuning('subgroup', 'f16'), products: LARGE_PRODUCTS }
  test.each([
    { rows: 9, N: 70, K: 131 },
    { rows: 40, N: 130, K: 96 },
    { rows: 70, N: 150, K: 66 },
  ])('[$rows, $K] by [$N, $K]', async (options) => {
    expect(await errorOf('subgroup', { ...options, type: 'f16' }, tuning)).toBeLessThan(2e-6)
  })
})
