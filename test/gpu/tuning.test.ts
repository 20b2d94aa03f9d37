import { describe, expect, test } from 'bun:test'
import type { AdapterFacts } from '../../src/gpu/device.ts'
import { LARGE_PRODUCTS, SMALL_PRODUCTS } from '../../src/gpu/products.ts'
import { chooseTuning, type TuningOptions } from '../../src/gpu/tuning.ts'

const adapter: AdapterFacts = {
  vendor: '',
  architecture: '',
  name: 'GPU',
  software: false,
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
}
const limits = {
  maxBindingSize: 2 ** 30,
  maxWorkgroupBytes: 48 * 1024,
  maxInvocations: 1024,
  maxStorageBuffers: 10,
}
const gpu = { adapter, limits, hasSubgroups: true }
const withoutSubgroups = { ...gpu, hasSubgroups: false }
const software = { ...gpu, adapter: { ...adapter, software: true } }
const auto: TuningOptions = { kernels: 'auto', dtype: 'auto', batchInvariant: undefined }

describe('tuning', () => {
  test('subgroups where they are fast', () => {
    expect(chooseTuning(gpu, auto)).toMatchObject({ variant: 'subgroup', weights: 'f16' })
    expect(chooseTuning(withoutSubgroups, auto)).toMatchObject({ variant: 'plain', weights: 'f16' })
    expect(chooseTuning(software, auto)).toMatchObject({ variant: 'plain', weights: 'f32' })
  })

  test('tiles are as large as the device allows', () => {
    const small = { ...gpu, limits: { ...limits, maxWorkgroupBytes: 16 * 1024 } }
    expect(chooseTuning(gpu, auto).products).toBe(LARGE_PRODUCTS)
    expect(chooseTuning(small, auto).products).toBe(SMALL_PRODUCTS)
    expect(chooseTuning(software, auto).products).toBe(SMALL_PRODUCTS)
  })

  test('either can be forced, if the device can do it', () => {
    const forced = { ...auto, kernels: 'subgroup', dtype: 'float16' }
    expect(chooseTuning(software, forced)).toMatchObject({ variant: 'subgroup', weights: 'f16' })
    expect(() => chooseTuning(withoutSubgroups, forced)).toThrow('adapter GPU has no subgroups')
    expect(() => chooseTuning(gpu, { ...auto, kernels: 'x' })).toThrow(
      '--kernels x: allowed are auto, subgroup, plain',
    )
    expect(() => chooseTuning(gpu, { ...auto, dtype: 'x' })).toThrow('--dtype x')
  })

  test.each(['int8', 'int4'])('--quantization %s', (quantization) => {
    for (const device of [gpu, withoutSubgroups, software]) {
      expect(chooseTuning(device, { ...auto, quantization }).weights).toBe(quantization)
    }
    for (const dtype of ['float16', 'float32']) {
      expect(() => chooseTuning(gpu, { ...auto, dtype, quantization })).toThrow(
        `--quantization ${quantization} and --dtype ${dtype} both name the type of the weights`,
      )
    }
  })

  test('without quantization the type is that of --dtype', () => {
    const plain = { ...auto, quantization: 'none' }
    expect(chooseTuning(gpu, plain).weights).toBe('f16')
    expect(chooseTuning(gpu, { ...plain, dtype: 'float32' }).weights).toBe('f32')
    expect(() => chooseTuning(gpu, { ...auto, quantization: 'int3' })).toThrow(
      '--quantization int3: allowed are none, int8, int4',
    )
  })

  test.each([true, false])('batch invariance %p is what subgroup kernels do', (batchInvariant) => {
    expect(chooseTuning(gpu, { ...auto, batchInvariant }).invariant).toBe(batchInvariant)
  })

  test.each([undefined, true, false])('plain kernels are invariant, asked %p', (batchInvariant) => {
    expect(chooseTuning(software, { ...auto, batchInvariant }).invariant).toBe(true)
  })

  test('subgroup sizes vary where the adapter names two', () => {
    expect(chooseTuning(gpu, auto).subgroupSizesVary).toBe(false)
    const varying = { ...gpu, adapter: { ...adapter, subgroupMinSize: 8 } }
    expect(chooseTuning(varying, auto).subgroupSizesVary).toBe(true)
  })
})
