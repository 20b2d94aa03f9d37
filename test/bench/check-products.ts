// Whether the matrix products of a model compute what they should: some of their results against
// float64 sums on the host, from the very inputs and weights that the kernels had.
import type { LoadedModel } from '../../src/engine/load.ts'
import { alignUp, type BufferRange } from '../../src/gpu/buffers.ts'
import { isQuantized, QUANT_GROUP } from '../../src/gpu/matrix.ts'
import type { StepCounts } from '../../src/gpu/program.ts'
import type { BindingNotes } from './bindings.ts'
import { readActivationRow, readScales, readWeightRow } from './host-matrix.ts'
import { type Product, productOf } from './products.ts'
import { sum } from './statistics.ts'
import { type ActiveDispatch, activeDispatches, encodeAll, kindsOf } from './step-dispatches.ts'

/** Rows of the step and outputs of each that are looked at. */
const ROWS = 3
const OUTPUTS = 12
/**
 * Error allowed of a sum, as a share of its terms' sizes: float32 sums of 16,384 terms stay below a
 * tenth of it, one term left out of as many is about six times as much.
 */
export const TOLERANCE = 1e-5

export interface ProductCheck {
  kernel: string
  N: number
  K: number
  type: string
  rows: number
  /** Results compared. */
  checked: number
  /** Largest error, as a share of what is allowed. */
  worst: number
}

/** A value with the error that is allowed of it. */
interface Expected {
  value: number
  allowed: number
}

/**
 * Checks one product of each kind and shape in a step, which must be in the step buffer.
 * @throws Error for a result that is wrong
 */
export async function checkProducts(
  model: LoadedModel,
  notes: BindingNotes,
  counts: StepCounts,
): Promise<ProductCheck[]> {
  const active = activeDispatches(model.decoder.program, counts)
  const checks: ProductCheck[] = []
  for (const kind of kindsOf(active)) {
    // The last layer's: its inputs have gone through everything else.
    const dispatch = kind[kind.length - 1]
    const product = productOf(dispatch, counts)
    if (product === undefined) continue
    const before = active.filter(({ index }) => index < dispatch.index)
    checks.push(await checkProduct(model, notes, before, dispatch, product))
  }
  return checks
}

async function checkProduct(
  { buffers, gpu }: LoadedModel,
  notes: BindingNotes,
  before: readonly ActiveDispatch[],
  dispatch: ActiveDispatch,
  product: Product,
): Promise<ProductCheck> {
  const { N, K, type, rows, firstRow, epilogue } = product
  const bindings = notes.of(dispatch.dispatch.bindGroup)
  const { x, x_scales, weights, weight_scales, y, bias } = bindings
  const packs = dispatch.params.get('OUTPUT') === 'gated'
  const [y_bytes, y_scales] = packs ? [bindings.next, bindings.next_scales] : []
  const name = `${dispatch.kernel} [${N}, ${K}] ${type}`
  if (!x || !weights || !y) throw new Error(`${name} binds other names than x, weights and y`)
  const run = (dispatches: readonly ActiveDispatch[]) => {
    const encoder = gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    encodeAll(pass, dispatches)
    pass.end()
    gpu.device.queue.submit([encoder.finish()])
  }
  const outputs = epilogue === 'swiglu' ? N / 2 : N
  const readResults = async (row: number): Promise<Float64Array> => {
    if (!y_bytes) return readActivationRow(buffers, y, undefined, outputs, row, outputs)
    const stride = alignUp(outputs, QUANT_GROUP)
    return readActivationRow(buffers, y_bytes, y_scales, stride, row, outputs)
  }

  run(before)
  const sampled = spread(rows, ROWS).map((row) => firstRow + row)
  const places = spread(outputs, OUTPUTS)
  const added = epilogue === 'add' ? await Promise.all(sampled.map(readResults)) : undefined
  run([dispatch])
  const biases = bias && (await readActivationRow(buffers, bias, undefined, N, 0, N))
  const weightRow = (n: number) => readWeightRow(buffers, weights, weight_scales, product, n, K)
  const inputStride = isQuantized(type) ? product.stride : K
  let worst = 0
  for (const [i, row] of sampled.entries()) {
    const read = await readActivationRow(buffers, x, x_scales, inputStride, row, K)
    const factor = await normFactor(buffers, dispatch, bindings.squares, row)
    const input = read.map((value) => value * factor)
    const results = await readResults(row)
    const steps =
      y_scales &&
      new Float32Array(await readScales(buffers, y_scales, alignUp(outputs, QUANT_GROUP), row))
    const sumAt = async (n: number): Promise<Expected> =>
      sumOf(input, await weightRow(n), biases?.[n] ?? 0)
    for (const at of places) {
      const expected =
        epilogue === 'swiglu'
          ? gated(await sumAt(2 * at), await sumAt(2 * at + 1))
          : plus(await sumAt(at), added?.[i][at] ?? 0)
      // Integers lie half a step from the number at most.
      const rounding = steps ? 0.5001 * steps[Math.floor(at / QUANT_GROUP)] : 0
      const share = Math.abs(results[at] - expected.value) / (expected.allowed + rounding)
      // False for NaN, too.
      if (!(share <= 1)) {
        throw new Error(
          `${name}: row ${row}, output ${at} is ${results[at]}, ` +
            `right is ${expected.value} ± ${expected.allowed + rounding}`,
        )
      }
      worst = Math.max(worst, share)
    }
  }
  const checked = sampled.length * places.length
  return { kernel: dispatch.kernel, N, K, type, rows, checked, worst }
}

/** What a product multiplies its results by: one over the root mean square, of a deferred norm. */
async function normFactor(
  buffers: LoadedModel['buffers'],
  { params }: ActiveDispatch,
  squares: BufferRange | undefined,
  row: number,
): Promise<number> {
  if (params.get('INPUT_NORM') !== 'divide') return 1
  if (!squares) throw new Error('a deferred norm has no sums of squares')
  const [parts, K] = [Number(params.get('SQUARES')), Number(params.get('K'))]
  const sums = await readActivationRow(buffers, squares, undefined, parts, row, parts)
  return 1 / Math.sqrt(sum([...sums]) / K + Number(params.get('EPS')))
}

function sumOf(x: Float64Array, w: Float64Array, bias: number): Expected {
  let value = bias
  let size = Math.abs(bias)
  for (const [i, weight] of w.entries()) {
    value += weight * x[i]
    size += Math.abs(weight * x[i])
  }
  return { value, allowed: TOLERANCE * size + Number.MIN_VALUE }
}

function plus({ value, allowed }: Expected, addend: number): Expected {
  return { value: value + addend, allowed: allowed + TOLERANCE * Math.abs(addend) }
}

/** silu(gate) · up; the slope of silu is below 1.1. */
function gated(gate: Expected, up: Expected): Expected {
  const open = gate.value / (1 + Math.exp(-gate.value))
  const value = open * up.value
  const allowed =
    1.1 * gate.allowed * (Math.abs(up.value) + up.allowed) +
    Math.abs(open) * up.allowed +
    TOLERANCE * Math.abs(value)
  return { value, allowed }
}

/** Up to `count` of `total` places, the first and the last among them. */
export function spread(total: number, count: number): number[] {
  const last = total - 1
  const places = Array.from({ length: count }, (_, i) => Math.round((i * last) / (count - 1)))
  return [...new Set(places)]
}
