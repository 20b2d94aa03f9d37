// Products of integer weights and activations against float64, and gated values packed behind them.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Activations } from '../../src/gpu/activations.ts'
import { alignUp } from '../../src/gpu/buffers.ts'
import { type Matrix, QUANT_GROUP } from '../../src/gpu/matrix.ts'
import { type MatmulOptions, matmul as plans } from '../../src/gpu/ops/matmul.ts'
import { LARGE_PRODUCTS } from '../../src/gpu/products.ts'
import type { Tuning } from '../../src/gpu/tuning.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { packNibbles, randomGroups, uploadBytes } from '../helpers/integers.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { matmul } from '../oracle/matmul.ts'

setDefaultTimeout(60_000)
const gpu = await openTestGpu()
const types = ['int8', 'int4'] as const
type IntType = (typeof types)[number]

interface Case {
  rows: number
  N: number
  K: number
  bias?: boolean
  epilogue?: MatmulOptions['epilogue']
  packed?: boolean
}

/** Runs one product with poison around its results; returns its error. */
async function errorOf(tuning: Tuning, type: IntType, options: Case): Promise<number> {
  const { rows, N, K, epilogue = 'store', packed = false } = options
  const random = new Random(rows * 7919 + N * 31 + K)
  const w = randomGroups(random, N, K, type === 'int8' ? [-127, 127] : [-8, 7])
  const a = randomGroups(random, rows, K, [-127, 127])
  const bias = options.bias ? random.normals(N) : undefined
  const weights: Matrix = {
    range: await uploadBytes(
      gpu.buffers,
      'weights',
      type === 'int8' ? w.ints : packNibbles(w.ints),
    ),
    scales: await uploadBytes(
      gpu.buffers,
      'scales',
      new Uint8Array(new Float16Array(w.scales).buffer),
    ),
    rows: N,
    columns: K,
    stride: w.stride,
    type,
  }
  const x: Activations = {
    type: 'int8',
    range: await uploadBytes(gpu.buffers, 'x', a.ints),
    scales: await gpu.input(a.scales),
    stride: a.stride,
  }
  const width = epilogue === 'swiglu' ? N / 2 : N
  const before = new Float32Array((rows + 2) * width).fill(Number.NaN)
  if (epilogue === 'add') before.set(random.normals(rows * width))
  const y = await gpu.input(before)
  const stride = alignUp(width, QUANT_GROUP)
  const groups = ((rows + 2) * stride) / QUANT_GROUP
  const quantized: Activations = {
    type: 'int8',
    range: await uploadBytes(
      gpu.buffers,
      'y bytes',
      new Uint8Array((rows + 2) * stride).fill(0x5a),
    ),
    scales: await gpu.output(groups),
    stride,
  }
  const step = await gpu.step(segmentsOf([rows]))
  const all = plans(tuning, {
    ...{ step: step.tables, x, weights, y, epilogue },
    maxRows: rows,
    ...(packed && { quantized }),
    ...(bias && { bias: await gpu.input(bias) }),
  })
  await gpu.run(
    all.filter((plan) => plan.grid(step.counts) !== undefined),
    step.counts,
  )
  const expected = matmul({
    ...{ x: a.values, weights: w.values, rows, N, K, bias, epilogue, y: before },
  })
  if (!packed) {
    const result = await gpu.read(y)
    expect(result.subarray(rows * width).every(Number.isNaN)).toBe(true)
    return rmsError(result.subarray(0, rows * width), expected)
  }
  const bytes = new Int8Array(await gpu.buffers.read(quantized.range))
  const scales = await gpu.read(quantized.scales)
  // Nothing beyond the rows is written, and rows end with zeros.
  expect(bytes.subarray(rows * stride).every((byte) => byte === 0x5a)).toBe(true)
  expect(scales.subarray((rows * stride) / QUANT_GROUP).every(Number.isNaN)).toBe(true)
  let worst = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < stride; i++) {
      const scale = scales[Math.floor((row * stride + i) / QUANT_GROUP)]
      const value = bytes[row * stride + i] * scale
      const wanted = i < width ? expected[row * width + i] : 0
      // Half a step, and what the sum itself may be off.
      worst = Math.max(worst, Math.abs(value - wanted) / (0.5 * scale + 1e-5))
    }
  }
  return worst
}

describe.each(variants)('products of integers, %s', (variant) => {
  describe.each(types)('%s weights', (type) => {
    const tuning = gpu.tuning(variant, type)

    test.each([
      { rows: 1, N: 1, K: 1 },
      { rows: 1, N: 96, K: 256 },
      { rows: 2, N: 37, K: 33 },
      { rows: 4, N: 20, K: 97 },
      { rows: 7, N: 35, K: 1000 },
      { rows: 13, N: 35, K: 97 },
      { rows: 70, N: 66, K: 60 },
      { rows: 3, N: 37, K: 24, epilogue: 'add' },
      { rows: 11, N: 37, K: 24, bias: true },
      { rows: 3, N: 38, K: 24, epilogue: 'swiglu' },
      { rows: 11, N: 38, K: 40, epilogue: 'swiglu', bias: true },
    ] as Case[])('%j', async (options) => {
      expect(await errorOf(tuning, type, options)).toBeLessThan(2e-6)
    })

    test.each([
      { rows: 1, N: 64, K: 64 },
      { rows: 3, N: 150, K: 40 },
      { rows: 8, N: 38, K: 33 },
      { rows: 12, N: 150, K: 40 },
    ])('gated values as integers: %j', async (options) => {
      const packed = { ...options, epilogue: 'swiglu' as const, packed: true }
      expect(await errorOf(tuning, type, packed)).toBeLessThan(1.01)
    })
  })
})

describe.each(types)('the tiles of GPUs, %s', (type) => {
  const tuning = { ...gpu.tuning('subgroup', type), products: LARGE_PRODUCTS }

  test.each([
    { rows: 9, N: 70, K: 131 },
    { rows: 40, N: 70, K: 320 },
    { rows: 70, N: 90, K: 66 },
    { rows: 2, N: 30, K: 4100 },
  ])('%j', async (options) => {
    expect(await errorOf(tuning, type, options)).toBeLessThan(2e-6)
  })
})
