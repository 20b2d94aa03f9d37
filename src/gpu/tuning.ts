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
}

/** What the operator asked for. */
export interface TuningOptions {
  /** --kernels: `auto`, `subgroup` or `plain`. */
  kernels: string
  /** --dtype: `auto`, `float16` or `float32`. */
  dtype: string
}

/**
 * Software drivers run workgroups as coroutines, so barriers and subgroup operations are their
 * main cost: 24 ms against 5 ms for a 1024 x 1024 product on SwiftShader (2026-11).
 * @throws ConfigError for values that do not exist, DeviceError for what the device cannot do
 */
export function chooseTuning(
  gpu: Pick<Gpu, 'adapter' | 'hasSubgroups'>,
  { kernels, dtype }: TuningOptions,
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
  return { variant: kernels === 'auto' ? best : kernels, weights: wide ? 'f32' : 'f16' }
}
