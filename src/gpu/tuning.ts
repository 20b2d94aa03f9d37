// From what is known of the device to which variant of each kernel runs on it.
import { ConfigError, DeviceError } from '../errors.ts'
import type { Gpu } from './device.ts'
import type { MatrixType } from './matrix.ts'
import type { MatrixUnits } from './matrix-units.ts'
import {
  LARGE_PRODUCTS,
  LARGE_PRODUCTS_BYTES,
  LARGE_PRODUCTS_INVOCATIONS,
  type ProductTuning,
  SMALL_PRODUCTS,
} from './products.ts'

/** `subgroup`: reductions across lanes; `plain`: one thread an output, no barriers, for CPUs. */
export type Variant = 'subgroup' | 'plain'

/** Decisions that shape both a kernel's text and its dispatch. */
export interface Tuning {
  variant: Variant
  /** Storage type of the layers' matrices; `sensitiveType` knows that of a few. */
  weights: MatrixType
  /**
   * A sequence gets the same bits alone and in a crowd: what it sees of a step is its own content,
   * its positions and its cuts.
   */
  invariant: boolean
  /** Subgroups of different kernels may differ in size on this adapter. */
  subgroupSizesVary: boolean
  /** Invocations of the smallest subgroup, at least 4. */
  leastSubgroup: number
  /** Norms of few rows are made by the products before and behind them. */
  deferNorms: boolean
  /** Shapes of the subgroup kernels that multiply with weights. */
  products: ProductTuning
  /** Make the products of many rows with float weights; undefined where there are none. */
  matrixUnits?: MatrixUnits
}

/** What the operator asked for. */
export interface TuningOptions {
  /** --kernels: `auto`, `subgroup` or `plain`. */
  kernels: string
  /** --dtype: `auto`, `float16` or `float32`. */
  dtype: string
  /** --quantization: `none`, `int8` or `int4`; undefined is `none`. */
  quantization?: string
  /**
   * --batch-invariant; undefined leaves it to the device. The plain kernels are invariant whatever is
   * asked for: they would gain nothing from being otherwise.
   */
  batchInvariant: boolean | undefined
}

/**
 * Whether the subgroup kernels are invariant unless told otherwise. They are not: tiles for many rows beat
 * the kernels for few by far, and sum in another order. Products of a GLA-7B layer for 64 rows on an H100,
 * float16: 1.4 ms in tiles, 2.0 ms as eight times eight rows; int8 0.55 and 1.3 (2026-11-23).
 */
const INVARIANT_SUBGROUPS = false

/** Storage buffers of a product of integers that makes half of a norm. */
const DEFERRED_BUFFERS = 9

/**
 * Software drivers run workgroups as coroutines, so barriers and subgroup operations are their
 * main cost: 24 ms against 5 ms for a 1024 x 1024 product on SwiftShader (2026-11).
 * @throws ConfigError for values that do not exist, DeviceError for what the device cannot do
 */
export function chooseTuning(
  gpu: Pick<Gpu, 'adapter' | 'hasSubgroups' | 'limits' | 'matrixUnits'>,
  { kernels, dtype, quantization, batchInvariant }: TuningOptions,
): Tuning {
  if (kernels !== 'auto' && kernels !== 'subgroup' && kernels !== 'plain') {
    throw new ConfigError(`--kernels ${kernels}: allowed are auto, subgroup, plain`)
  }
  if (kernels === 'subgroup' && !gpu.hasSubgroups) {
    throw new DeviceError(`--kernels subgroup: adapter ${gpu.adapter.name} has no subgroups`)
  }
  const best = gpu.hasSubgroups && !gpu.adapter.software ? 'subgroup' : 'plain'
  const variant = kernels === 'auto' ? best : kernels
  const { maxWorkgroupBytes, maxInvocations, maxStorageBuffers } = gpu.limits
  const isLarge =
    !gpu.adapter.software &&
    maxWorkgroupBytes >= LARGE_PRODUCTS_BYTES &&
    maxInvocations >= LARGE_PRODUCTS_INVOCATIONS
  const isInvariant = variant === 'plain' || (batchInvariant ?? INVARIANT_SUBGROUPS)
  return {
    variant,
    weights: chooseWeights(gpu, dtype, quantization),
    invariant: isInvariant,
    subgroupSizesVary: gpu.adapter.subgroupMinSize !== gpu.adapter.subgroupMaxSize,
    leastSubgroup: Math.max(4, gpu.adapter.subgroupMinSize),
    // They would show how many rows a step has.
    deferNorms: !isInvariant && maxStorageBuffers >= DEFERRED_BUFFERS,
    products: isLarge ? LARGE_PRODUCTS : SMALL_PRODUCTS,
    matrixUnits: gpu.matrixUnits,
  }
}

function chooseWeights(
  { adapter }: Pick<Gpu, 'adapter'>,
  dtype: string,
  quantization = 'none',
): MatrixType {
  if (dtype !== 'auto' && dtype !== 'float16' && dtype !== 'float32') {
    throw new ConfigError(`--dtype ${dtype}: allowed are auto, float16, float32`)
  }
  if (quantization === 'int8' || quantization === 'int4') {
    if (dtype === 'auto') return quantization
    throw new ConfigError(
      `--quantization ${quantization} and --dtype ${dtype} both name the type of the weights; ` +
        'leave one of them out',
    )
  }
  if (quantization !== 'none') {
    throw new ConfigError(`--quantization ${quantization}: allowed are none, int8, int4`)
  }
  // CPUs pay for unpacking float16: one step of the default model takes 17 ms instead of 11
  // (SwiftShader, two cores, 2026-11). The numbers are the same.
  const wide = dtype === 'float32' || (dtype === 'auto' && adapter.software)
  return wide ? 'f32' : 'f16'
}
