// Finds out at start whether the kernels can use an adapter's matrix units: by trying.
import { kernels } from '../../kernels/index.ts'
import {
  adapterFacts,
  Backend,
  deviceLimits,
  infoOf,
  type NativeGpu,
  sameAdapter,
} from './adapters.ts'
import { Buffers } from './buffers.ts'
import type { Gpu } from './device.ts'
import { allocateMatrix } from './matrix.ts'
import {
  MATRIX_FEATURE,
  MATRIX_TOGGLES,
  type MatrixKind,
  type MatrixUnits,
  matrixConfigs,
  usableKinds,
} from './matrix-units.ts'
import { matmul } from './ops/matmul.ts'
import { unitParams } from './ops/matrix-shape.ts'
import { Pipelines } from './pipelines.ts'
import { Program } from './program.ts'
import { runKernel } from './prove.ts'
import { requestDevice } from './request-device.ts'
import { StepBuffer } from './step.ts'
import { packToggles } from './toggles.ts'
import { chooseTuning } from './tuning.ts'

/** What is compiled; tests have texts that need no units. */
type Texts = Pick<typeof kernels, 'matrixProbe' | 'matmulMatrix'>

/**
 * Units that work, with an adapter of the same hardware that gives them; undefined where there are
 * none, and where anything at all goes wrong.
 */
export async function findMatrixUnits(
  instance: NativeGpu,
  plain: GPUAdapter,
  texts: Texts = kernels,
): Promise<{ adapter: GPUAdapter; units: MatrixUnits } | undefined> {
  if (!mayHaveUnits(plain)) return undefined
  const toggles = packToggles(MATRIX_TOGGLES, [])
  try {
    const trial = await sameAdapter(instance, plain, toggles)
    const units = trial?.features.has(MATRIX_FEATURE) ? await tryKinds(trial, texts) : undefined
    const adapter = units && (await sameAdapter(instance, plain, toggles))
    return adapter && { adapter, units }
  } catch {
    return undefined
  } finally {
    toggles.keepAlive.length = 0
  }
}

/** Features of a device whose kernels use matrices of these numbers. */
export function matrixFeatures(inputs: MatrixKind['inputs']): GPUFeatureName[] {
  return [MATRIX_FEATURE, ...(inputs === 'f16' ? (['shader-f16'] as const) : [])]
}

/** Vulkan's drivers multiply no float32 matrices, and NVIDIA's has no float16 in this Dawn. */
function mayHaveUnits(adapter: GPUAdapter): boolean {
  const { software } = adapterFacts(adapter)
  if (software || !adapter.features.has('subgroups')) return false
  const { backendType } = infoOf(adapter)
  const isVulkan = backendType === Backend.VULKAN && adapter.features.has('shader-f16')
  return isVulkan || backendType === Backend.METAL
}

/** On a device of its own: a driver that stumbles over matrices takes no other along. */
async function tryKinds(adapter: GPUAdapter, texts: Texts): Promise<MatrixUnits | undefined> {
  const hasFloat16 = adapter.features.has('shader-f16')
  const kinds = usableKinds(matrixConfigs(adapter), hasFloat16)
  if (kinds.length === 0) return undefined
  const gpu = { adapter: adapterFacts(adapter), limits: deviceLimits(adapter) }
  const features = matrixFeatures(hasFloat16 ? 'f16' : 'f32')
  const device = await requestDevice(adapter, { features: ['subgroups', ...features] })
  try {
    for (const kind of kinds) {
      const proof = proveUnits({ ...gpu, device }, kind, texts)
      const units = await Promise.race([proof, device.lost.then(() => undefined)])
      if (units) return units
    }
    return undefined
  } finally {
    device.destroy()
  }
}

/** A product of more than one tile, whose last tiles, rows and numbers along k are not full. */
const PROOF = { rows: 70, outputs: 74, columns: 83 }

/**
 * The units of a kind if a product of small integers, which float16 holds and float32 sums exactly,
 * comes out right; undefined if not.
 */
export async function proveUnits(
  gpu: Pick<Gpu, 'device' | 'adapter' | 'limits'>,
  kind: MatrixKind,
  texts: Texts = kernels,
): Promise<MatrixUnits | undefined> {
  const { subgroupMaxSize } = gpu.adapter
  try {
    const params = { ...unitParams(kind), WORKGROUP: subgroupMaxSize }
    const [subgroupSize] = await runKernel(gpu.device, 1, texts.matrixProbe, params)
    if (subgroupSize === 0) return undefined
    const units = { ...kind, subgroupSize, subgroupMaxSize }
    const { made, exact } = await multiplyIntegers(gpu, units, texts.matmulMatrix)
    return exact.every((sum, i) => made[i] === sum) ? units : undefined
  } catch {
    return undefined
  }
}

async function multiplyIntegers(
  gpu: Pick<Gpu, 'device' | 'adapter' | 'limits'>,
  matrixUnits: MatrixUnits,
  text: typeof kernels.matmulMatrix,
): Promise<{ made: Float32Array; exact: Float32Array }> {
  const { rows, outputs, columns } = PROOF
  using buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
  const step = await StepBuffer.create(buffers, { tokens: rows, segments: 1, logitRows: 1 })
  const tokens = new Array<number>(rows).fill(0)
  const counts = step.write(gpu.device.queue, [
    { slot: 0, tokens, position: 0, logits: 'none', decode: false },
  ])
  // Neighbours differ along every axis, so that no mistake in where a number lies goes unseen.
  const x = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 7919) % 17) - 8)
  const weights = await allocateMatrix(buffers, 'proof weights', outputs, columns, 'f16')
  const halves = new Float16Array(outputs * weights.stride)
  const exact = new Float32Array(rows * outputs)
  for (let n = 0; n < outputs; n++) {
    for (let k = 0; k < columns; k++) {
      const weight = ((n * 31 + k * 5) % 13) - 6
      halves[n * weights.stride + k] = weight
      for (let row = 0; row < rows; row++) exact[row * outputs + n] += weight * x[row * columns + k]
    }
  }
  gpu.device.queue.writeBuffer(weights.range.buffer, 0, halves)
  const y = { buffer: await buffers.create('proof y', exact.byteLength) }
  const options = { kernels: 'subgroup', dtype: 'float16', batchInvariant: false }
  const tuning = chooseTuning({ ...gpu, hasSubgroups: true, matrixUnits }, options)
  const plans = matmul(tuning, {
    step: step.tables,
    x: { type: 'f32', range: { buffer: await buffers.upload('proof x', x) } },
    weights,
    y,
    maxRows: rows,
  })
  const used = plans.filter((plan) => plan.kernel === kernels.matmulMatrix)
  const program = await Program.compile(
    new Pipelines(gpu.device),
    used.map((plan) => ({ ...plan, kernel: text })),
  )
  const encoder = gpu.device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  program.encode(pass, counts)
  pass.end()
  gpu.device.queue.submit([encoder.finish()])
  return { made: await buffers.readFloats(y), exact }
}
