// From what is known of the device to which variant of each kernel runs on it.
import { ConfigError, DeviceError } from '../errors.ts'
import type { Gpu } from './device.ts'

/** `subgroup`: reductions across lanes; `plain`: one thread an output, no barriers, for CPUs. */
export type Variant = 'subgroup' | 'plain'

/** Decisions that shape both a kernel's text and its dispatch. */
export interface Tuning {
  variant: Variant
  /** Storage type of weight matrices. */
  weights: 'f16' | 'f32'
  /**
   * A sequence gets the same bits alone and in a crowd: what it sees of a step is its own content,
   * its positions and its cuts.
   */
  invariant: boolean
  /** Subgroups of different kernels may differ in size on this adapter. */
  subgroupSizesVary: boolean
}

/** What the operator asked for. */
export interface TuningOptions {
  /** --kernels: `auto`, `subgroup` or `plain`. */
  kernels: string
  /** --dtype: `auto`, `float16` or `float32`. */
  dtype: string
  /**
   * --batch-invariant; undefined leaves it to the device. The plain kernels are invariant whatever is
   * asked for: they would gain nothing from being otherwise.
   */
  batchInvariant: boolean | undefined
}

/**
 * Whether the subgroup kernels are invariant unless told otherwise. On an H100, GLA-7B shape, it costs
 * nothing: decode steps of up to 8 sequences and prompts are the same, 16 sequences take 22 ms a step
 * instead of 66, 64 take 80 instead of 92, and a prompt of 2,048 tokens beside 8 decoding sequences
 * 1.26 s instead of 1.49 though its steps read the weights twice: the kernels for few rows beat the
 * tiled ones there (2026-11-23).
 */
const INVARIANT_SUBGROUPS = true

/**
 * Software drivers run workgroups as coroutines, so barriers and subgroup operations are their
 * main cost: 24 ms against 5 ms for a 1024 x 1024 product on SwiftShader (2026-11).
 * @throws ConfigError for values that do not exist, DeviceError for what the device cannot do
 */
export function chooseTuning(
  gpu: Pick<Gpu, 'adapter' | 'hasSubgroups'>,
  { kernels, dtype, batchInvariant }: TuningOptions,
): Tuning {
  if (kernels !== 'auto' && kernels !== 'subgroup' && kernels !== 'plain') {
    throw new ConfigError(`--kernels ${kernels}: allowed are auto, subgroup, plain`)
  }
  if (dtype !== 'auto' && dtype !== 'float16' && dtype !== 'float32') {
    throw new ConfigError(`--dtype ${dtype}: allowed are auto, float16, float32`)
  }
  if (kernels === 'subgroup' && !gpu.hasSubgroups) {
    throw new DeviceError(`--kernels subgroup: adapter ${gpu.adapter.name} has no subgroups`)
  }
  const best = gpu.hasSubgroups && !gpu.adapter.software ? 'subgroup' : 'plain'
  // CPUs pay for unpacking float16: one step of the default model takes 17 ms instead of 11
  // (SwiftShader, two cores, 2026-11). The numbers are the same.
  const wide = dtype === 'float32' || (dtype === 'auto' && gpu.adapter.software)
  const variant = kernels === 'auto' ? best : kernels
  return {
    variant,
    weights: wide ? 'f32' : 'f16',
    invariant: variant === 'plain' || (batchInvariant ?? INVARIANT_SUBGROUPS),
    subgroupSizesVary: gpu.adapter.subgroupMinSize !== gpu.adapter.subgroupMaxSize,
  }
}
