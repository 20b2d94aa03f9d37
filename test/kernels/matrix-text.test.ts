// Texts with subgroup matrices as Dawn's compiler reads them. They run nowhere here: the null backend
// says that they are WGSL and that their pipelines are laid out as the bindings want it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { kernels } from '../../kernels/index.ts'
import { floats } from '../../src/gpu/activations.ts'
import type { MatrixKind, MatrixUnits } from '../../src/gpu/matrix-units.ts'
import { type MatmulOptions, matmul } from '../../src/gpu/ops/matmul.ts'
import { unitParams } from '../../src/gpu/ops/matrix-shape.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'
import type { Plan } from '../../src/gpu/program.ts'
import { openTestGpu, segmentsOf } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { openNullDevice } from '../helpers/null-device.ts'

setDefaultTimeout(60_000)
const gpu = await openTestGpu()
const empty = await openNullDevice()
const pipelines = new Pipelines(empty.device)
afterAll(() => {
  empty.device.destroy()
  empty.instance.destroy()
})

const kinds: MatrixKind[] = [
  { rows: 8, outputs: 16, k: 16, inputs: 'f16' },
  { rows: 16, outputs: 16, k: 16, inputs: 'f16' },
  { rows: 16, outputs: 8, k: 8, inputs: 'f16' },
  { rows: 32, outputs: 8, k: 32, inputs: 'f16' },
  { rows: 8, outputs: 8, k: 8, inputs: 'f32' },
  { rows: 32, outputs: 8, k: 16, inputs: 'f32' },
]
const epilogues = ['store', 'add', 'swiglu'] as const
const step = await gpu.step(segmentsOf([1]))

/** The plan for many rows. */
async function planOf(
  units: MatrixUnits,
  K: number,
  options: Partial<MatmulOptions> & { type?: 'f16' | 'f32' },
): Promise<Plan> {
  const { type = 'f16', ...rest } = options
  const weights = await uploadMatrix(gpu.buffers, 'weights', new Float32Array(6 * K), 6, K, type)
  const plans = matmul(
    { ...gpu.tuning('subgroup', type), matrixUnits: units },
    {
      ...{ step: step.tables, x: floats(weights.range), y: weights.range, weights, maxRows: 100 },
      ...rest,
    },
  )
  const plan = plans.find(({ kernel }) => kernel === kernels.matmulMatrix)
  if (!plan) throw new Error('no plan has matrices')
  return plan
}

describe.each(kinds)('$rows x $outputs x $k, $inputs', (kind) => {
  // The null backend's largest subgroups have 128 invocations.
  const units = { ...kind, subgroupSize: 32, subgroupMaxSize: 128 }
  const bias = step.tables.counts

  test.each([64, 65, 66, 67])('K = %d', async (K) => {
    for (const epilogue of epilogues) {
      for (const options of [{ epilogue }, { epilogue, bias }]) {
        const { kernel, params, bindings } = await planOf(units, K, options)
        const pipeline = await pipelines.get(kernel, params)
        expect(pipeline.bindings.map(({ name }) => name).sort()).toEqual(
          Object.keys(bindings).sort(),
        )
      }
    }
  })

  test('rows of logits, other subgroups, wide weights', async () => {
    const texts = [
      await planOf(units, 64, { rows: 'logit_rows' }),
      await planOf({ ...units, subgroupSize: 64 }, 64, {}),
      ...(kind.inputs === 'f32' ? [await planOf(units, 60, { type: 'f32' })] : []),
    ]
    for (const { kernel, params } of texts) await pipelines.get(kernel, params)
  })

  test('the probe', async () => {
    const params = { ...unitParams(kind), WORKGROUP: 128 }
    await pipelines.get(kernels.matrixProbe, params)
  })
})

describe('what is wrong does not compile:', () => {
  let plan: Plan
  beforeAll(async () => {
    plan = await planOf({ ...kinds[0], subgroupSize: 32, subgroupMaxSize: 128 }, 64, {})
  })
  const get = (right: string, wrong: string) => {
    const { kernel, params } = plan
    expect(kernel.text.includes(right)).toBe(true)
    const text = kernel.text.replace(right, wrong)
    return pipelines.get({ ...kernel, name: wrong, text }, params)
  }

  test('nothing, in the text as it is', async () => {
    await get('let left', 'let left')
  })

  test.each([
    ['swapped operands', '(left$i, right$j', '(right$j, left$i'],
    ['a missing argument', 'false, PITCH', 'PITCH'],
    ['numbers of another type', 'array<f32, PARTS', 'array<u32, PARTS'],
    ['a barrier for some', 'let left', 'workgroupBarrier(); let left'],
    ['memory for nobody', 'PARTS * UNIT_ROWS', 'PARTS * 64 * UNIT_ROWS'],
  ])('%s', async (_, right, wrong) => {
    await expect(get(right, wrong)).rejects.toThrow('does not compile')
  })
})
