// Which adapters there are, and which of them is taken.
import { dlopen } from 'bun:ffi'
import { DeviceError } from '../errors.ts'
import type { AdapterFacts, DeviceLimits } from './device.ts'
import { installSoftwareDriver, SOFTWARE_DRIVER, softwareDriverSupported } from './software.ts'
import type { NativeToggles } from './toggles.ts'

/** bun-webgpu's adapter info carries more than the standard names. */
type RawAdapterInfo = GPUAdapterInfo & {
  adapterType: number
  backendType: number
  subgroupMinSize: number
  subgroupMaxSize: number
}
export type NativeGpu = ReturnType<typeof import('bun-webgpu').createGPUInstance>

/** Newer Dawn caps NVIDIA bindings below 2 GiB, and arrayLength() fails above: never bind more. */
const LARGEST_BINDING = 2 ** 31 - 4
/** WGPUAdapterType_CPU of webgpu.h. */
const ADAPTER_TYPE_CPU = 3
/** Values of WGPUBackendType in webgpu.h. */
export const Backend = { NULL: 1, METAL: 5, VULKAN: 6 } as const

/**
 * The adapter that `wanted` asks for: `auto`, `software`, or part of a name.
 * @throws DeviceError when there is none
 */
export async function chooseAdapter(
  wanted: string,
): Promise<{ adapter: GPUAdapter; instance: NativeGpu }> {
  const softwareFits =
    softwareDriverSupported() &&
    (wanted === 'auto' || SOFTWARE_DRIVER.toLowerCase().includes(wanted.toLowerCase()))
  // Without a Vulkan loader Dawn can only complain on stderr; spare the reader that.
  const noVulkan = process.platform === 'linux' && !hasVulkanLoader()
  const softwareOnly = wanted === 'software' || (noVulkan && softwareFits)
  if (softwareOnly) installSoftwareDriver()
  else if (noVulkan) throw noMatch(wanted, [])
  // Imported late: the Vulkan driver has to be in place before Dawn looks for one.
  const { createGPUInstance, globalConstructors } = await import('bun-webgpu')
  // bun-webgpu 0.1.7 rejects maps that are broken off with a global AbortError, which only its globals()
  // makes one, together with all else. Without it, destroying a device in the midst of a map throws a
  // ReferenceError in place of the reason why that was done.
  const { AbortError } = globalConstructors
  Object.assign(globalThis, { AbortError })
  let instance = createGPUInstance()
  let adapters = await listAdapters(instance)
  let best = bestMatch(adapters, wanted)
  if (best === undefined && softwareFits && !softwareOnly) {
    instance.destroy()
    installSoftwareDriver()
    instance = createGPUInstance()
    adapters = await listAdapters(instance)
    best = bestMatch(adapters, wanted)
  }
  if (best === undefined) throw noMatch(wanted, adapters)
  return { adapter: best, instance }
}

/** An adapter of the same hardware with toggles, which may give it other features. */
export async function sameAdapter(
  instance: NativeGpu,
  adapter: GPUAdapter,
  toggles: NativeToggles,
): Promise<GPUAdapter | undefined> {
  const name = describe(infoOf(adapter))
  const adapters = await listAdapters(instance, toggles)
  return adapters.find((each) => describe(infoOf(each)) === name)
}

export function infoOf(adapter: GPUAdapter): RawAdapterInfo {
  return adapter.info as RawAdapterInfo
}

export function adapterFacts(adapter: GPUAdapter): AdapterFacts {
  const info = infoOf(adapter)
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    name: info.description || info.device,
    software: isSoftware(info),
    subgroupMinSize: info.subgroupMinSize,
    subgroupMaxSize: info.subgroupMaxSize,
  }
}

export function deviceLimits({ limits }: GPUAdapter): DeviceLimits {
  return {
    maxBindingSize: Math.min(
      limits.maxBufferSize,
      limits.maxStorageBufferBindingSize,
      LARGEST_BINDING,
    ),
    maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
  }
}

function isSoftware(info: RawAdapterInfo): boolean {
  return info.adapterType === ADAPTER_TYPE_CPU || info.architecture === 'swiftshader'
}

/** A real GPU before a CPU driver; within each, the order in which Dawn prefers them. */
function bestMatch(adapters: readonly GPUAdapter[], wanted: string): GPUAdapter | undefined {
  const matches = adapters.filter((adapter) => {
    if (wanted === 'auto') return true
    if (wanted === 'software') return isSoftware(infoOf(adapter))
    return describe(infoOf(adapter)).toLowerCase().includes(wanted.toLowerCase())
  })
  return matches.find((adapter) => !isSoftware(infoOf(adapter))) ?? matches[0]
}

function noMatch(wanted: string, adapters: GPUAdapter[]): DeviceError {
  const found = adapters.map((each) => describe(infoOf(each))).join('; ') || 'none'
  const driver = process.platform === 'linux' ? ' (is a Vulkan driver installed?)' : ''
  return new DeviceError(`no adapter matches --adapter ${wanted}; found: ${found}${driver}`)
}

function hasVulkanLoader(): boolean {
  try {
    // bun:ffi wants at least one symbol.
    dlopen('libvulkan.so.1', {
      vkGetInstanceProcAddr: { args: ['ptr', 'cstring'], returns: 'ptr' },
    }).close()
    return true
  } catch {
    return false
  }
}

/** WebGPU cannot enumerate adapters; asking in each of these ways finds at most one each. */
async function listAdapters(instance: NativeGpu, toggles?: NativeToggles): Promise<GPUAdapter[]> {
  const found = new Map<string, GPUAdapter>()
  const requests: Parameters<NativeGpu['requestAdapter']>[0][] = [
    { powerPreference: 'high-performance' },
    { powerPreference: 'low-power' },
    { forceFallbackAdapter: true },
  ]
  for (const request of requests) {
    const chained = toggles ? { ...request, nextInChain: toggles.pointer } : request
    const adapter = await instance.requestAdapter(chained).catch(() => undefined)
    if (!adapter) continue
    const info = infoOf(adapter)
    if (!isNull(info) && !found.has(describe(info))) found.set(describe(info), adapter)
  }
  return [...found.values()]
}

function describe(info: RawAdapterInfo): string {
  return [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ')
}

/** Dawn's null backend accepts everything and computes nothing. */
function isNull(info: RawAdapterInfo): boolean {
  return info.backendType === Backend.NULL || /null/i.test(`${info.device} ${info.description}`)
}
