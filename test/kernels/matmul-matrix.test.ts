// Products by matrix units against float64. Where there are no units the same text runs with its
// matrices emulated, which checks its indices and who does what, but no driver.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { kernels } from '../../kernels/index.ts'
import { floats } from '../../src/gpu/activations.ts'
import type { MatrixKind, MatrixUnits } from '../../src/gpu/matrix-units.ts'
import { type MatmulOptions, matmul as plans } from '../../src/gpu/ops/matmul.ts'
import type { WgslSource } from '../../src/gpu/wgsl.ts'
import { emulateUnits } from '../helpers/emulated-units.ts'
import { openTestGpu, segmentsOf } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { matmul } from '../oracle/matmul.ts'

// Software drivers take seconds to compile one of these on a busy machine.
setDefaultTimeout(60_000)
const gpu = await openTestGpu()
const { hasSubgroups, adapter, matrixUnits } = gpu.gpu
/** Invocations of a subgroup, as emulation wants to know them. */
const lanes = adapter.subgroupMaxSize
const canEmulate = hasSubgroups && adapter.subgroupMinSize === lanes

const LARGEST_HALF = 65504

interface Case {
  rows: number
  N: number
  K: number
  type?: 'f16' | 'f32'
  bias?: boolean
  epilogue?: MatmulOptions['epilogue']
  /** The rows are those of logits in a step of more tokens. */
  logits?: boolean
  /** Multiplies some of the inputs. */
  outliers?: number
}

/** Runs one product with NaN around everything the kernel may touch; returns its error. */
async function errorOf(units: MatrixUnits, text: WgslSource, options: Case): Promise<number> {
  const { rows, N, K, type = 'f16', epilogue = 'store' } = options
  const random = new Random(rows * 7919 + N * 31 + K)
  const x = new Float32Array((rows + 1) * K).fill(Number.NaN)
  for (let row = 0; row < rows; row++) {
    const inputs = random.normals(K)
    // How a driver rounds is its own affair.
    x.set(units.inputs === 'f16' ? stored(inputs, 'f16') : inputs, row * K)
  }
  if (options.outliers) for (let i = 5; i < rows * K; i += 1000) x[i] *= options.outliers
  const weights = stored(random.normals(N * K, K ** -0.5), type)
  const bias = options.bias ? random.normals(N) : undefined
  const width = epilogue === 'swiglu' ? N / 2 : N
  const before = new Float32Array((rows + 2) * width).fill(Number.NaN)
  if (epilogue === 'add') before.set(random.normals(rows * width))
  const y = await gpu.input(before)
  const segments = segmentsOf(options.logits ? [rows, 5] : [rows])
  segments[0].logits = 'all'
  const step = await gpu.step(segments)
  const tuning = { ...gpu.tuning('subgroup', type), matrixUnits: units }
  const all = plans(tuning, {
    step: step.tables,
    x: floats(await gpu.input(x)),
    weights: await uploadMatrix(gpu.buffers, 'weights', weights, N, K, type),
    y,
    maxRows: rows,
    epilogue,
    ...(bias && { bias: await gpu.input(bias) }),
    rows: options.logits ? 'logit_rows' : 'tokens',
  })
  const used = all.filter((plan) => plan.grid(step.counts) !== undefined)
  expect(used.map((plan) => plan.kernel)).toEqual([kernels.matmulMatrix])
  await gpu.run([{ ...used[0], kernel: text }], step.counts)
  const result = await gpu.read(y)
  expect(result.subarray(rows * width).every(Number.isNaN)).toBe(true)
  const cut = (each: number) => Math.max(-LARGEST_HALF, Math.min(LARGEST_HALF, each))
  const seen = units.inputs === 'f16' ? x.map(cut) : x
  return rmsError(
    result.subarray(0, rows * width),
    matmul({ x: seen, weights, rows, N, K, bias, epilogue, y: before }),
  )
}

/** The numbers as this type holds them. */
function stored(numbers: Float32Array, type: 'f16' | 'f32'): Float32Array {
  return type === 'f16' ? new Float32Array(new Float16Array(numbers)) : numbers
}

const shapes: Case[] = [
  { rows: 65, N: 1, K: 1 },
  { rows: 70, N: 66, K: 60 },
  { rows: 128, N: 64, K: 64 },
  { rows: 131, N: 35, K: 97, bias: true },
  { rows: 65, N: 37, K: 24, epilogue: 'add' },
  { rows: 97, N: 38, K: 7, epilogue: 'swiglu' },
  { rows: 66, N: 66, K: 50, epilogue: 'swiglu', bias: true },
  { rows: 80, N: 9, K: 34, epilogue: 'add', bias: true },
  { rows: 72, N: 21, K: 40, logits: true },
]

/** As adapters list them, and some that show a mistaken side. */
const kinds: MatrixKind[] = [
  { rows: 8, outputs: 16, k: 16, inputs: 'f16' },
  { rows: 16, outputs: 16, k: 16, inputs: 'f16' },
  { rows: 8, outputs: 8, k: 8, inputs: 'f32' },
  { rows: 32, outputs: 4, k: 16, inputs: 'f32' },
]

/** One in four of SwiftShader's subgroups has work: the loads of fewer would take long to compile. */
const idle = { subgroupSize: Math.max(lanes, 16), subgroupMaxSize: lanes }
const emulated = emulateUnits(kernels.matmulMatrix, lanes)

describe.skipIf(!canEmulate)('emulated matrices', () => {
  describe.each(kinds)('$rows x $outputs x $k, $inputs', (kind) => {
    const units = { ...kind, ...idle }
    test.each(kind === kinds[0] ? shapes : shapes.slice(3, 4))('%j', async (options) => {
      expect(await errorOf(units, emulated, options)).toBeLessThan(2e-6)
    })
  })

  // The driver decides how large subgroups are: too few of them make the parts in turns.
  test.each([1, 0.75, 0.5])('subgroups for %d of the parts', async (share) => {
    const kind: MatrixKind = { rows: 16, outputs: 16, k: 16, inputs: 'f32' }
    const units = { ...kind, subgroupSize: lanes * share, subgroupMaxSize: lanes }
    expect(await errorOf(units, emulated, { rows: 130, N: 70, K: 50 })).toBeLessThan(2e-6)
  })

  test('float32 weights by units for float32', async () => {
    const units = { ...kinds[2], ...idle }
    expect(await errorOf(units, emulated, { rows: 70, N: 38, K: 33, type: 'f32' })).toBeLessThan(
      2e-6,
    )
  })

  test('numbers beyond float16 are cut off', async () => {
    const units = { ...kinds[0], ...idle }
    const options = { rows: 66, N: 20, K: 64, outliers: 1e6 }
    expect(await errorOf(units, emulated, options)).toBeLessThan(2e-6)
  })

  test.each([
    ['a transposed matrix', 'true, PITCH', 'false, PITCH'],
    ['a place for each invocation', 'RESULT_PITCH, sum', 'RESULT_PITCH + index, sum'],
    ['a missing invocation', 'if (part < PARTS)', 'if (part < PARTS && index != 3)'],
  ])('%s shows', async (_, right, wrong) => {
    expect(emulated.text.includes(right)).toBe(true)
    const broken = { ...emulated, name: wrong, text: emulated.text.replaceAll(right, wrong) }
    const error = await errorOf({ ...kinds[0], ...idle }, broken, { rows: 66, N: 20, K: 40 })
    expect(error < 1e-2).toBe(false)
  })
})

describe.skipIf(!matrixUnits)('matrix units', () => {
  test.each(shapes)('%j', async (options) => {
    const units = matrixUnits as MatrixUnits
    expect(await errorOf(units, kernels.matmulMatrix, options)).toBeLessThan(2e-6)
  })
})

describe('products by matrix units', async () => {
  const step = await gpu.step(segmentsOf([1]))
  const data = new Float32Array(64)
  const halves = await uploadMatrix(gpu.buffers, 'weights', data, 8, 8, 'f16')
  const wide = await uploadMatrix(gpu.buffers, 'weights', data, 8, 8, 'f32')
  const kernelsFor = (units: MatrixUnits, weights = halves, invariant = false) => {
    const tuning = { ...gpu.tuning('subgroup', weights.type, invariant), matrixUnits: units }
    const shared = { step: step.tables, x: floats(halves.range), y: halves.range }
    const all = plans(tuning, { ...shared, weights, maxRows: 2048 })
    return (tokens: number) =>
      all
        .filter((plan) => plan.grid({ ...step.counts, tokens, decodes: 0 }) !== undefined)
        .map((plan) => plan.kernel)
  }
  const [half, float] = [kinds[0], kinds[2]].map((kind) => ({ ...kind, ...idle }))

  test('are those of many rows', () => {
    const kernelFor = kernelsFor(half)
    for (const tokens of [65, 200, 2048]) expect(kernelFor(tokens)).toEqual([kernels.matmulMatrix])
    for (const tokens of [1, 8]) expect(kernelFor(tokens)).toEqual([kernels.matvec])
    for (const tokens of [9, 64]) expect(kernelFor(tokens)).toEqual([kernels.matmulTiled])
  })

  test('round no float32 weights', () => {
    expect(kernelsFor(half, wide)(200)).toEqual([kernels.matmulTiled])
    expect(kernelsFor(float, wide)(200)).toEqual([kernels.matmulMatrix])
  })

  test('are none where a row must have the same bits in any step', () => {
    expect(kernelsFor(half, halves, true)(200)).toEqual([kernels.matmulTiled])
  })
})
