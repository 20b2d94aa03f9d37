// Asks Dawn for a device, as bun-webgpu wants to be asked.
import { packToggles } from './toggles.ts'

export interface DeviceRequest {
  features: readonly GPUFeatureName[]
  /** Dawn's toggles, on top of those of the adapter. */
  enabled?: readonly string[]
  disabled?: readonly string[]
}

/**
 * On by default and switched off: zeroing workgroup memory by a Vulkan extension, for which
 * SwiftShader compiles 6.5 s instead of 0.5 s (tiles of 32 x 32, 2026-11).
 */
const SLOW_TOGGLES = ['use_vulkan_zero_initialize_workgroup_memory_extension']

/** A device with all that the adapter's limits allow. An adapter gives one device. */
export async function requestDevice(
  adapter: GPUAdapter,
  { features, enabled = [], disabled = [] }: DeviceRequest,
): Promise<GPUDevice> {
  const toggles = packToggles(enabled, [...SLOW_TOGGLES, ...disabled])
  const { nextInChain, __brand, ...limits } = adapter.limits as unknown as Record<string, number>
  // bun-webgpu 0.1.7 packs the lists of the descriptor into memory that nothing holds until Dawn has
  // read it; a collection in between made Dawn see features that do not exist. None follows at once.
  Bun.gc(true)
  const device = await adapter.requestDevice({
    requiredFeatures: features,
    // bun-webgpu fills limits left out with defaults that an adapter may not have: name them all.
    requiredLimits: limits,
    nextInChain: toggles.pointer,
  } as unknown as GPUDeviceDescriptor)
  toggles.keepAlive.length = 0
  return device
}
