// Opens the one device of the process: features, toggles, the check that kernels really run, and what
// happens when the device is lost.
import { DeviceError } from '../errors.ts'
import { adapterFacts, chooseAdapter, deviceLimits } from './adapters.ts'
import { findMatrixUnits, matrixFeatures } from './find-matrix-units.ts'
import type { MatrixUnits } from './matrix-units.ts'
import { startPolling } from './polling.ts'
import { proveItComputes, subgroupsAreRegular } from './prove.ts'
import { openReleaser, type Releaser } from './release.ts'
import { requestDevice } from './request-device.ts'

/** What the rest of glaze knows about the device. */
export interface Gpu {
  device: GPUDevice
  adapter: AdapterFacts
  limits: DeviceLimits
  /** Subgroup operations work, and as the kernels need them. */
  hasSubgroups: boolean
  /** Matrix units that work. */
  matrixUnits?: MatrixUnits
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
  /** Invocations of a workgroup. */
  maxInvocations: number
  /** Storage buffers that a kernel may bind. */
  maxStorageBuffers: number
}

export interface OpenGpuOptions {
  /** `auto`, `software`, or part of an adapter's name. */
  adapter: string
  /** Keep Dawn's validation and bounds checks; tests do, serving does not. */
  checked?: boolean
  /** Lets passes note when they begin and end, to the nanosecond. */
  timestamps?: boolean
}

/** Checks that trusted, tested kernels do without; every kernel writes what it reads. */
const FAST_TOGGLES = ['skip_validation', 'disable_robustness', 'disable_workgroup_init']
/** Rounds times to 65 µs, against attacks by web pages. */
const COARSE_TIME = 'timestamp_quantization'

/**
 * Opens the device that `options.adapter` asks for.
 * @throws DeviceError when there is none, or when its kernels do not run.
 */
export async function openGpu(options: OpenGpuOptions): Promise<Gpu> {
  const { adapter: plain, instance } = await chooseAdapter(options.adapter)
  const found = await findMatrixUnits(instance, plain)
  const adapter = found?.adapter ?? plain
  const facts = adapterFacts(adapter)
  const hasSubgroups = adapter.features.has('subgroups')
  if (options.timestamps && !adapter.features.has('timestamp-query')) {
    throw new DeviceError(`adapter ${facts.name} has no timestamps`)
  }
  const device = await requestDevice(adapter, {
    features: [
      ...(hasSubgroups ? (['subgroups'] as const) : []),
      ...(found ? matrixFeatures(found.units.inputs) : []),
      ...(options.timestamps ? (['timestamp-query'] as const) : []),
    ],
    enabled: options.checked ? [] : FAST_TOGGLES,
    disabled: options.timestamps ? [COARSE_TIME] : [],
  })
  const stopPolling = startPolling(instance, facts.software)
  await proveItComputes(device, facts.name)
  return {
    device,
    adapter: facts,
    limits: deviceLimits(adapter),
    hasSubgroups: hasSubgroups && (await subgroupsAreRegular(device)),
    ...(found && { matrixUnits: found.units }),
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
