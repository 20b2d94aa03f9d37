// Whether matrix units are taken. There are none on most machines: an adapter that pretends to have
// some runs the same kernels with their matrices emulated.

import { type Pointer, ptr, toArrayBuffer } from 'bun:ffi'
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { kernels } from '../../kernels/index.ts'
import {
  adapterFacts,
  Backend,
  chooseAdapter,
  infoOf,
  type NativeGpu,
} from '../../src/gpu/adapters.ts'
import { findMatrixUnits, proveUnits } from '../../src/gpu/find-matrix-units.ts'
import { MATRIX_FEATURE, type MatrixKind } from '../../src/gpu/matrix-units.ts'
import { emulateUnits } from '../helpers/emulated-units.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { openNullDevice } from '../helpers/null-device.ts'

// Software drivers take seconds to compile one of these on a busy machine.
setDefaultTimeout(60_000)
const { gpu } = await openTestGpu()
const { subgroupMaxSize, subgroupMinSize } = gpu.adapter
const canEmulate = gpu.hasSubgroups && subgroupMinSize === subgroupMaxSize
const emulated = {
  matrixProbe: emulateUnits(kernels.matrixProbe, subgroupMaxSize),
  matmulMatrix: emulateUnits(kernels.matmulMatrix, subgroupMaxSize),
}

const kind: MatrixKind = { rows: 32, outputs: 8, k: 8, inputs: 'f32' }
const units = { ...kind, subgroupSize: subgroupMaxSize, subgroupMaxSize }

describe('units of a device are taken', () => {
  test.skipIf(!canEmulate)('if their products are exact', async () => {
    expect(await proveUnits(gpu, kind, emulated)).toEqual(units)
  })

  test.skipIf(!canEmulate).each([
    ['matmulMatrix', 'sum$i_$j);', 'Result());'],
    ['matmulMatrix', 'tile + w_at$i', 'w_at$i'],
    ['matrixProbe', 'ones[at] = 1', 'ones[at] = 2'],
  ] as const)('and not if %s is wrong', async (name, right, wrong) => {
    const { text } = emulated[name]
    expect(text.includes(right)).toBe(true)
    const broken = { ...emulated[name], text: text.replaceAll(right, wrong) }
    expect(await proveUnits(gpu, kind, { ...emulated, [name]: broken })).toBeUndefined()
  })

  test('and not where nothing is computed', async () => {
    const empty = await openNullDevice()
    const { device, adapter, instance } = empty
    expect(
      await proveUnits({ ...gpu, device, adapter: adapterFacts(adapter) }, kind),
    ).toBeUndefined()
    device.destroy()
    instance.destroy()
  })

  test('and not where kernels do not compile', async () => {
    const { adapter, instance } = await chooseAdapter(gpu.adapter.name)
    const device = await adapter.requestDevice()
    expect(await proveUnits({ ...gpu, device }, kind)).toBeUndefined()
    device.destroy()
    instance.destroy()
  })
})

describe.skipIf(!canEmulate)('units of an adapter', async () => {
  const { adapter: real, instance } = await chooseAdapter(gpu.adapter.name)
  afterAll(() => instance.destroy())
  // WGPUSubgroupMatrixConfig: float16 with float16 results, and `kind`.
  const configs = Uint32Array.of(2, 2, 8, 8, 8, 1, 1, kind.rows, kind.outputs, kind.k)
  const features = ['subgroups', MATRIX_FEATURE]

  /** An adapter that pretends, for one device; with `broken`, one that gives none. */
  async function pretend(seen: Partial<{ features: string[]; backend: number; broken: boolean }>) {
    const own = (await instance.requestAdapter({
      powerPreference: 'high-performance',
    })) as GPUAdapter
    const info = { ...infoOf(real), adapterType: 0, architecture: 'pretended' }
    return {
      info: { ...info, backendType: seen.backend ?? Backend.METAL },
      features: new Set(seen.features ?? features),
      limits: own.limits,
      requestDevice: (descriptor: GPUDeviceDescriptor) => {
        if (seen.broken) throw new Error('lost')
        expect([...(descriptor.requiredFeatures ?? [])]).toEqual(features as GPUFeatureName[])
        return own.requestDevice({ ...descriptor, requiredFeatures: ['subgroups'] })
      },
      adapterPtr: 0,
      lib: {
        wgpuAdapterGetInfo: (_: Pointer, at: Pointer) => {
          const [chained] = new BigUint64Array(toArrayBuffer(at, 0, 8))
          const struct = new BigUint64Array(toArrayBuffer(Number(chained) as Pointer, 0, 32))
          struct[2] = 2n
          struct[3] = BigInt(ptr(configs))
          return 1
        },
        wgpuAdapterInfoFreeMembers: () => {},
      },
    } as unknown as GPUAdapter
  }

  async function find(plain: Parameters<typeof pretend>[0], shown: Parameters<typeof pretend>[0]) {
    let requests = 0
    const asked = {
      requestAdapter: () => {
        requests++
        return pretend(shown)
      },
    } as unknown as NativeGpu
    return { found: await findMatrixUnits(asked, await pretend(plain), emulated), requests }
  }

  test('come with an adapter that can still open a device', async () => {
    const { found } = await find({ features: ['subgroups'] }, {})
    expect(found?.units).toEqual(units)
    const device = await found?.adapter.requestDevice({
      requiredFeatures: features as GPUFeatureName[],
    })
    device?.destroy()
  })

  test('are none where the feature does not show', async () => {
    const { found } = await find({}, { features: ['subgroups'] })
    expect(found).toBeUndefined()
  })

  test('are none where no device opens', async () => {
    const { found, requests } = await find({}, { broken: true })
    expect(requests).toBeGreaterThan(0)
    expect(found).toBeUndefined()
  })

  test('are not asked for where they cannot be', async () => {
    const vulkan = { backend: Backend.VULKAN }
    expect((await find(vulkan, {})).requests).toBe(0)
    expect((await find({ features: ['shader-f16'] }, {})).requests).toBe(0)
    const software = await findMatrixUnits(instance, real, emulated)
    if (gpu.adapter.software) expect(software).toBeUndefined()
    const float16 = { ...vulkan, features: ['subgroups', 'shader-f16'] }
    expect((await find(float16, { features: [] })).requests).toBeGreaterThan(0)
  })
})
