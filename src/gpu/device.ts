// Chooses an adapter and opens the one device of the process: features, limits, toggles, the
// check that kernels really run, and what happens when the device is lost.
import { dlopen } from 'bun:ffi'
import { DeviceError } from '../errors.ts'
import { MAP_MODE_READ, Usage } from './buffers.ts'
import { pollGently } from './polling.ts'
import { installSoftwareDriver, SOFTWARE_DRIVER, softwareDriverSupported } from './software.ts'
import { packToggles } from './toggles.ts'

/** What the rest of glaze knows about the device. */
export interface Gpu {
  device: GPUDevice
  adapter: AdapterFacts
  limits: DeviceLimits
  hasSubgroups: boolean
  hasTimestamps: boolean
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

/** The limits glaze plans with, in bytes and counts. */
export interface DeviceLimits {
  maxBufferSize: number
  maxStorageBufferBindingSize: number
  maxComputeWorkgroupStorageSize: number
  maxComputeInvocationsPerWorkgroup: number
  maxComputeWorkgroupsPerDimension: number
  minStorageBufferOffsetAlignment: number
}

export interface OpenGpuOptions {
  /** `auto`, `software`, or part of an adapter's name. */
  adapter: string
  /** Keep Dawn's validation and bounds checks; tests do, serving does not. */
  checked?: boolean
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
 * On by default and switched off: timestamps rounded to 65 us, and zeroing workgroup memory by a
 * Vulkan extension, for which SwiftShader compiles 6.5 s instead of 0.5 s (32x32 tiles, 2026-11).
 */
const SLOW_TOGGLES = [
  'timestamp_quantization',
  'use_vulkan_zero_initialize_workgroup_memory_extension',
]

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
  if (isSoftware(info)) pollGently(instance)
  const features = ['subgroups', 'timestamp-query'].filter((name) => adapter.features.has(name))
  const toggles = packToggles(options.checked ? [] : FAST_TOGGLES, SLOW_TOGGLES)
  const limits: DeviceLimits = {
    maxBufferSize: adapter.limits.maxBufferSize,
    maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
    maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupsPerDimension: adapter.limits.maxComputeWorkgroupsPerDimension,
    minStorageBufferOffsetAlignment: adapter.limits.minStorageBufferOffsetAlignment,
  }
  const device = await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: allLimits(adapter.limits),
    nextInChain: toggles.pointer,
  } as unknown as GPUDeviceDescriptor)
  toggles.keepAlive.length = 0

  const gpu: Gpu = {
    device,
    adapter: {
      vendor: info.vendor,
      architecture: info.architecture,
      name: info.description || info.device,
      software: isSoftware(info),
      subgroupMinSize: info.subgroupMinSize,
      subgroupMaxSize: info.subgroupMaxSize,
    },
    limits: {
      ...limits,
      maxStorageBufferBindingSize: Math.min(limits.maxStorageBufferBindingSize, LARGEST_BINDING),
    },
    hasSubgroups: features.includes('subgroups'),
    hasTimestamps: features.includes('timestamp-query'),
    lost: new Promise((resolve) => {
      device.lost.then(({ reason, message }) => {
        if (reason !== 'destroyed') resolve(message || 'no reason given')
      })
    }),
    destroy: () => {
      device.destroy()
      instance.destroy()
    },
  }
  await proveItComputes(gpu)
  return gpu
}

/** bun-webgpu fills limits left out with defaults that an adapter may not have: name them all. */
function allLimits(limits: GPUSupportedLimits): Record<string, number> {
  const { nextInChain, __brand, ...rest } = limits as unknown as Record<string, number>
  return rest
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

/** Runs one kernel that writes one word, and reads the word back. */
async function proveItComputes(gpu: Gpu): Promise<void> {
  const { device } = gpu
  const word = 0x91a2e
  const module = device.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read_write> word: array<u32>;
      @compute @workgroup_size(1) fn main() { word[0] = ${word}u; }`,
  })
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: 'main' },
  })
  const target = device.createBuffer({ size: 4, usage: Usage.STORAGE | Usage.COPY_SRC })
  const copy = device.createBuffer({ size: 4, usage: Usage.COPY_DST | Usage.MAP_READ })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: target } }],
    }),
  )
  pass.dispatchWorkgroups(1)
  pass.end()
  encoder.copyBufferToBuffer(target, 0, copy, 0, 4)
  device.queue.submit([encoder.finish()])
  await copy.mapAsync(MAP_MODE_READ)
  const seen = new Uint32Array(copy.getMappedRange())[0]
  copy.unmap()
  copy.destroy()
  target.destroy()
  if (seen !== word) {
    throw new DeviceError(
      `adapter ${gpu.adapter.name} runs no kernels: wrote ${word}, read back ${seen}`,
    )
  }
}
