import { afterAll, describe, expect, test } from 'bun:test'
import { adapterFacts, chooseAdapter, sameAdapter } from '../../src/gpu/adapters.ts'
import {
  MATRIX_FEATURE,
  MATRIX_TOGGLES,
  type MatrixConfig,
  type MatrixKind,
  matrixConfigs,
  readConfigs,
  usableKinds,
} from '../../src/gpu/matrix-units.ts'
import { packToggles } from '../../src/gpu/toggles.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { openNullDevice, requestNullAdapter } from '../helpers/null-device.ts'

const { gpu } = await openTestGpu()
const empty = await openNullDevice()
afterAll(() => {
  empty.device.destroy()
  empty.instance.destroy()
})

const config = (
  inputs: MatrixConfig['inputs'],
  results: MatrixConfig['results'],
  [rows, outputs, k]: number[],
): MatrixConfig => ({ inputs, results, rows, outputs, k })

describe('kinds of matrices', () => {
  test('are read as Dawn lays them out', () => {
    const words = [
      [2, 1, 8, 16, 32],
      [9, 1, 1, 1, 1],
      [1, 1, 8, 8, 8],
      [4, 4, 16, 16, 32],
    ].flat()
    expect(readConfigs(Uint32Array.from(words))).toEqual([
      config('f16', 'f32', [8, 16, 32]),
      config('f32', 'f32', [8, 8, 8]),
      config('i32', 'i32', [16, 16, 32]),
    ])
  })

  const intel = [config('f16', 'f32', [8, 16, 16]), config('f16', 'f16', [8, 16, 16])]
  const apple = [config('f32', 'f32', [8, 8, 8]), config('f16', 'f16', [8, 8, 8])]
  const nvidia = [
    [16, 8, 8],
    [16, 8, 16],
    [16, 16, 16],
  ].map((size) => config('f16', 'f32', size))
  test.each([
    ['Intel', intel, true, ['f16 8 x 16 x 16']],
    ['AMD', [config('f16', 'f32', [16, 16, 16])], true, ['f16 16 x 16 x 16']],
    ['Apple', apple, true, ['f32 8 x 8 x 8']],
    ['the largest first', nvidia, true, ['f16 16 x 16 x 16', 'f16 16 x 8 x 16', 'f16 16 x 8 x 8']],
    ['float16 first', [...apple, ...intel], true, ['f16 8 x 16 x 16', 'f32 8 x 8 x 8']],
    ['no float16 in kernels', [...apple, ...intel], false, ['f32 8 x 8 x 8']],
    ['integers', [config('i32', 'i32', [16, 16, 32])], true, []],
    ['sides of no tile', [config('f16', 'f32', [12, 16, 16])], true, []],
    ['a k of no tile', [config('f16', 'f32', [16, 16, 64])], true, []],
    ['too large a result', [config('f16', 'f32', [32, 32, 16])], true, []],
  ] as const)('%s', (_, configs, hasFloat16, expected) => {
    const kinds = usableKinds(configs, hasFloat16)
    const text = ({ inputs, rows, outputs, k }: MatrixKind) =>
      `${inputs} ${rows} x ${outputs} x ${k}`
    expect(kinds.map(text)).toEqual([...expected])
  })
})

describe('an adapter', async () => {
  test('has the feature by the name and with the toggles that are known', async () => {
    expect(empty.adapter.features.has(MATRIX_FEATURE)).toBe(true)
    const plain = await requestNullAdapter(empty.instance, [])
    expect(plain.features.has(MATRIX_FEATURE)).toBe(false)
  })

  test('that has the feature tells its kinds; the null backend has none', () => {
    expect(matrixConfigs(empty.adapter)).toEqual([])
  })

  test('is found again with toggles, of which those that do not exist do no harm', async () => {
    const { adapter, instance } = await chooseAdapter(gpu.adapter.name)
    const toggles = packToggles([...MATRIX_TOGGLES, 'no_such_toggle'], ['nor_this_one'])
    const same = await sameAdapter(instance, adapter, toggles)
    toggles.keepAlive.length = 0
    expect(same && adapterFacts(same)).toEqual(gpu.adapter)
    instance.destroy()
  })

  const { adapter, instance } = await chooseAdapter(gpu.adapter.name)
  const toggles = packToggles(MATRIX_TOGGLES, [])
  const shown = await sameAdapter(instance, adapter, toggles)
  toggles.keepAlive.length = 0
  afterAll(() => instance.destroy())

  test.skipIf(!shown?.features.has(MATRIX_FEATURE))('of this machine tells its kinds', () => {
    const configs = matrixConfigs(shown as GPUAdapter)
    expect(configs.length).toBeGreaterThan(0)
    for (const { rows, outputs, k } of configs) {
      for (const side of [rows, outputs, k]) expect([4, 8, 16, 32, 64, 128]).toContain(side)
    }
  })
})
