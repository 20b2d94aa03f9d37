// A device of Dawn's null backend, which has every feature, checks texts and pipelines as any other
// backend does, and runs nothing: what compiles here is valid WGSL, and no more than that is said.

import type { NativeGpu } from '../../src/gpu/adapters.ts'
import { MATRIX_FEATURE, MATRIX_TOGGLES } from '../../src/gpu/matrix-units.ts'
import { requestDevice } from '../../src/gpu/request-device.ts'
import { packToggles } from '../../src/gpu/toggles.ts'

export async function openNullDevice() {
  const { createGPUInstance } = await import('bun-webgpu')
  const instance = createGPUInstance()
  const adapter = await requestNullAdapter(instance, MATRIX_TOGGLES)
  const features: GPUFeatureName[] = ['subgroups', 'shader-f16', MATRIX_FEATURE]
  return { instance, adapter, device: await requestDevice(adapter, { features }) }
}

/** Unsafe features show only with the toggles that an adapter is asked for with. */
export async function requestNullAdapter(
  instance: NativeGpu,
  enabled: readonly string[],
): Promise<GPUAdapter> {
  const toggles = packToggles(enabled, [])
  const request = { backendType: 'Null', nextInChain: toggles.pointer }
  const adapter = await instance.requestAdapter(request as Record<string, unknown>)
  toggles.keepAlive.length = 0
  if (!adapter) throw new Error('this Dawn has no null backend')
  return adapter
}
