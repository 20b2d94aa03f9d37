// Chooses an adapter and opens the one device of the process: features, limits, toggles, the
// check that kernels really run, and what happens when the device is lost.
import { dlopen } from 'bun:ffi'
import { DeviceError } from '../errors.ts'
import { startPolling } from './polling.ts'
import { proveItComputes, subgroupsAreRegular } from './prove.ts'
import { openReleaser, type Releaser } from './release.ts'
import { installSoftwareDriver, SOFTWARE_DRIVER, softwareDriverSupported } from './software.ts'
import { packToggles } from './toggles.ts'

/** What the rest of glaze knows about the device. */
export interface Gpu {
  device: GPUDevice
  adapter: AdapterFacts
  limits: DeviceLimits
  /** Subgroup operations work, and as the kernels need them. */
  hasSubgroups: boolean
  release: Releaser
  /** Resolves with the reason if the device is lost, but not when destroy() was called. */
  lost: Promise<string>
  destroy(): void
}

export interface AdapterFacts {
  vendor: string
  architecture: string
  name: string
  /** True for CPU drivers such as SwiftShader and lavapipe. */
  software: boolean
  subgroupMinSize: number
  subgroupMaxSize: number
}

/** The limits glaze plans with, in bytes. */
export interface DeviceLimits {
  /** Of buffers that kernels bind whole. */
  maxBindingSize: number
  /** Memory that the invocations of a workgroup share. */
  maxWorkgroupBytes: number
}

export interface OpenGpuOptions {
  /** `auto`, `software`, or part of an adapter's name. */
  adapter: string
  /** Keep Dawn's validation and bounds checks; tests do, serving does not. */
  checked?: boolean
  /** Lets passes note when they begin and end, to the nanosecond. */
  timestamps?: boolean
}

/** Newer Dawn caps NVIDIA bindings below 2 GiB, and arrayLength() fails above: never bind more. */
const LARGEST_BINDING = 2 ** 31 - 4

/** bun-webgpu's adapter info carries more than the standard names. */
type RawAdapterInfo = GPUAdapterInfo & {
  adapterType: number
  backendType: number
  subgroupMinSize: number
  subgroupMaxSize: number
}
type NativeGpu = ReturnType<typeof import('bun-webgpu').createGPUInstance>

/** Checks that trusted, tested kernels do without; every kernel writes what it reads. */
const FAST_TOGGLES = ['skip_validation', 'disable_robustness', 'disable_workgroup_init']
/**
 * On by default and switched off: zeroing workgroup memory by a Vulkan extension, for which
 * SwiftShader compiles 6.5 s instead of 0.5 s (tiles of 32 x 32, 2026-11).
 */
const SLOW_TOGGLES = ['use_vulkan_zero_initialize_workgroup_memory_extension']
/** Rounds times to 65 µs, against attacks by web pages. */
const COARSE_TIME = 'timestamp_quantization'

/** WGPUAdapterType_CPU and WGPUBackendType_Null of webgpu.h. */
const ADAPTER_TYPE_CPU = 3
const BACKEND_NULL = 1

/**
 * Opens the device that `options.adapter` asks for.
 * @throws DeviceError when there is none, or when its kernels do not run.
 */
export async function openGpu(options: OpenGpuOptions): Promise<Gpu> {
  const { adapter, instance } = await chooseAdapter(options.adapter)
  const info = adapter.info as RawAdapterInfo
  const hasSubgroups = adapter.features.has('subgroups')
  const features: GPUFeatureName[] = hasSubgroups ? ['subgroups'] : []
  if (options.timestamps) {
    if (!adapter.features.has('timestamp-query')) {
      throw new DeviceError(`adapter ${info.description || info.device} has no timestamps`)
    }
    features.push('timestamp-query')
  }
  const toggles = packToggles(options.checked ? [] : FAST_TOGGLES, [
    ...SLOW_TOGGLES,
    ...(options.timestamps ? [COARSE_TIME] : []),
  ])
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
  const stopPolling = startPolling(instance, isSoftware(info))
  const name = info.description || info.device
  await proveItComputes(device, name)
  return {
    device,
    adapter: {
      vendor: info.vendor,
      architecture: info.architecture,
      name,
      software: isSoftware(info),
      subgroupMinSize: info.subgroupMinSize,
      subgroupMaxSize: info.subgroupMaxSize,
    },
    limits: {
      maxBindingSize: Math.min(
        limits.maxBufferSize,
        limits.maxStorageBufferBindingSize,
        LARGEST_BINDING,
      ),
      maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    },
    hasSubgroups: hasSubgroups && (await subgroupsAreRegular(device)),
    release: await openReleaser(),
    lost: new Promise((resolve) => {
      device.lost.then(({ reason, message }) => {
        // Dawn adds where in its sources the loss was noticed.
        if (reason !== 'destroyed') resolve(message.split('\n')[0] || 'no reason given')
      })
    }),
    destroy: () => {
      stopPolling()
      device.destroy()
      instance.destroy()
    },
  }
}

async function chooseAdapter(
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
  const { createGPUInstance } = await import('bun-webgpu')
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

/** A real GPU before a CPU driver; within each, the order in which Dawn prefers them. */
function bestMatch(adapters: readonly GPUAdapter[], wanted: string): GPUAdapter | undefined {
  const info = (adapter: GPUAdapter) => adapter.info as RawAdapterInfo
  const matches = adapters.filter((adapter) => {
    if (wanted === 'auto') return true
    if (wanted === 'software') return isSoftware(info(adapter))
    return describe(info(adapter)).toLowerCase().includes(wanted.toLowerCase())
  })
  return matches.find((adapter) => !isSoftware(info(adapter))) ?? matches[0]
}

function noMatch(wanted: string, adapters: GPUAdapter[]): DeviceError {
  const found = adapters.map((each) => describe(each.info as RawAdapterInfo)).join('; ') || 'none'
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
async function listAdapters(instance: NativeGpu): Promise<GPUAdapter[]> {
  const found = new Map<string, GPUAdapter>()
  const requests: Parameters<NativeGpu['requestAdapter']>[0][] = [
    { powerPreference: 'high-performance' },
    { powerPreference: 'low-power' },
    { forceFallbackAdapter: true },
  ]
  for (const request of requests) {
    const adapter = await instance.requestAdapter(request).catch(() => undefined)
    if (!adapter) continue
    const info = adapter.info as RawAdapterInfo
    if (!isNull(info) && !found.has(describe(info))) found.set(describe(info), adapter)
  }
  return [...found.values()]
}

function describe(info: RawAdapterInfo): string {
  return [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ')
}

function isSoftware(info: RawAdapterInfo): boolean {
  return info.adapterType === ADAPTER_TYPE_CPU || info.architecture === 'swiftshader'
}

/** Dawn's null backend accepts everything and computes nothing. */
function isNull(info: RawAdapterInfo): boolean {
  return info.backendType === BACKEND_NULL || /null/i.test(`${info.device} ${info.description}`)
}
