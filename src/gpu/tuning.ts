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

/**
 * Software drivers run workgroups as coroutines, so barriers and subgroup operations are their
 * main cost: 24 ms against 5 ms for a 1024 x 1024 product on SwiftShader (2026-11).
 * @param forced value of --kernels: `auto`, `subgroup` or `plain`
 */
export function chooseTuning(
  gpu: Pick<Gpu, 'adapter' | 'hasSubgroups'>,
  forced = 'auto',
  weights: Tuning['weights'] = 'f16',
): Tuning {
  if (forced !== 'auto' && forced !== 'subgroup' && forced !== 'plain') {
    throw new ConfigError(`--kernels ${forced}: allowed are auto, subgroup, plain`)
  }
  if (forced === 'subgroup' && !gpu.hasSubgroups) {
    throw new DeviceError(`--kernels subgroup: adapter ${gpu.adapter.name} has no subgroups`)
  }
  const best = gpu.hasSubgroups && !gpu.adapter.software ? 'subgroup' : 'plain'
  return { variant: forced === 'auto' ? best : forced, weights }
}
