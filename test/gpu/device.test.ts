import { describe, expect, test } from 'bun:test'
import { DeviceError } from '../../src/errors.ts'
import { Buffers } from '../../src/gpu/buffers.ts'
import { openGpu } from '../../src/gpu/device.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const { gpu, buffers, pipelines } = await openTestGpu()

describe('device', () => {
  test('says what it is', () => {
    expect(gpu.adapter.name).not.toBe('')
    expect(gpu.adapter.subgroupMinSize).toBeGreaterThan(0)
    expect(gpu.limits.maxBindingSize).toBeGreaterThan(2 ** 26)
    expect(gpu.limits.maxBindingSize).toBeLessThan(2 ** 31)
  })

  test('an adapter that is not there is refused with a list of those that are', () => {
    expect(openGpu({ adapter: 'nonesuch' })).rejects.toThrow(
      /no adapter matches --adapter nonesuch; found: /,
    )
  })

  test('an adapter is found by a part of its name, in any case', async () => {
    const part = gpu.adapter.name.slice(1, 6).toUpperCase()
    const same = await openGpu({ adapter: part })
    expect(same.adapter.name).toBe(gpu.adapter.name)
    same.destroy()
  })

  test('destroying a device is no loss', async () => {
    const other = await openGpu({ adapter: 'auto' })
    other.destroy()
    await other.device.lost
    expect(await Promise.race([other.lost, Promise.resolve('still there')])).toBe('still there')
  })
})

describe('buffers', () => {
  test('are counted until they are destroyed', async () => {
    const own = new Buffers(gpu.device, 1000)
    const one = await own.create('one', 10)
    await own.create('two', 100)
    expect(own.bytes).toBe(112)
    own.destroy(one)
    expect(own.bytes).toBe(100)
    expect(() => own.destroy(one)).toThrow('not owned')
    expect(own.create('large', 1004)).rejects.toThrow(
      'large: 1004 bytes asked for, the adapter allows 1000 in one buffer',
    )
    own[Symbol.dispose]()
    expect(own.bytes).toBe(0)
  })

  test('give back what was put in', async () => {
    const data = Float32Array.of(1, -2.5, 3e-20, 4)
    const buffer = await buffers.upload('data', data)
    expect(await buffers.readFloats({ buffer })).toEqual(data)
    expect(await buffers.readFloats({ buffer, offset: 4, size: 8 })).toEqual(data.slice(1, 3))
  })
})

describe('pipelines', () => {
  const kernel = (text: string) => ({ name: 'k.wgsl', text, includes: {} })
  const good = `#param N: u32
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] = N; }`

  test('one for each set of parameters, compiled once', async () => {
    const own = new Pipelines(gpu.device)
    const [a, b, c] = await Promise.all([1, 1, 2].map((N) => own.get(kernel(good), { N })))
    expect(a).toBe(b)
    expect(a).not.toBe(c)
    expect(own.size).toBe(2)
    expect(a.label).toBe('k.wgsl(N=1)')
  })

  test('a kernel that does not compile is an error with the line', async () => {
    const bad = kernel('\n\n@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }')
    const error = await pipelines.get(bad, {}).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(DeviceError)
    expect(String(error)).toContain('  3: @compute @workgroup_size(1) fn main()')
  })

  test('bindings are checked by name', async () => {
    const pipeline = await pipelines.get(kernel(good), { N: 1 })
    const buffer = await buffers.create('y', 4)
    expect(() => pipelines.bind(pipeline, { x: { buffer } })).toThrow('missing y, unknown x')
    expect(pipelines.bind(pipeline, { y: { buffer } })).toBeDefined()
  })
})
