// Tensors on their way to the GPU: many blocks at once, errors that are found late.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { randomTensors, usedBytes } from '../../models/tensors.ts'
import { WeightUploader } from '../../models/weights.ts'
import { CheckpointError } from '../../src/errors.ts'
import type { MatrixType } from '../../src/gpu/matrix.ts'
import { BLOCK_BYTES } from '../../src/gpu/staging.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { type Dtype, decode } from '../../src/loader/convert.ts'
import { noiseTensor } from '../../src/loader/noise.ts'
import type { TensorSource } from '../../src/loader/tensor-source.ts'
import { encodeValues, smallCheckpoint, writeJson, writeShards } from '../helpers/checkpoints.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { Random } from '../helpers/numbers.ts'
import { readMatrix } from '../helpers/repack.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { packMatrix } from '../oracle/repack.ts'

const gpu = await openTestGpu()
const types: MatrixType[] = ['f32', 'f16', 'int8', 'int4']

/** A tensor in memory. `fail` is called before each read. */
function tensorOf(
  data: Float32Array,
  shape: [number, number],
  dtype: Dtype,
  fail: (first: number) => Promise<void> | void = () => {},
): TensorSource {
  const bytes = encodeValues(data, dtype)
  const rowBytes = bytes.length / shape[0]
  return {
    ...{ name: 'w', file: 'model.safetensors', shape, dtype },
    async readRows(first, count, into = new Uint8Array(count * rowBytes)) {
      await fail(first)
      into.set(bytes.subarray(first * rowBytes, (first + count) * rowBytes))
      return into
    },
  }
}

function valuesOf(data: Float32Array, dtype: Dtype): Float32Array {
  return decode(encodeValues(data, dtype), dtype)
}

function packed(data: Float32Array, rows: number, columns: number, type: MatrixType) {
  const { words, scales } = packMatrix(data, rows, columns, type)
  return { words, scales }
}

describe.each(types)('%s', (type) => {
  // Several blocks, the last one short, then more small ones than are on their way at once.
  test('stacked over many blocks, with bytes counted', async () => {
    const columns = 2 ** 16 + 8
    const [rows, more] = [70, 12]
    const random = new Random(1)
    const pool = random.normals(4099)
    const data = Float32Array.from({ length: rows * columns }, (_, i) => pool[i % pool.length])
    const others = Array.from({ length: more }, (_, i) => data.subarray(i).slice(0, columns))
    const done: number[] = []
    const weights = new WeightUploader(gpu.buffers, type, (bytes) => done.push(bytes))
    const before = gpu.buffers.bytes
    const matrix = await weights.stacked('matrix', [
      tensorOf(data, [rows, columns], 'F32'),
      ...others.map((other) => tensorOf(other, [1, columns], 'BF16')),
    ])
    await weights.finish()
    expect(weights.gpuBytes).toBe(gpu.buffers.bytes - before)
    expect(done.length).toBe(Math.ceil(rows / Math.floor(BLOCK_BYTES / (columns * 4))) + more)
    expect(done.at(-1)).toBe(rows * columns * 4 + more * columns * 2)
    const all = new Float32Array((rows + more) * columns)
    all.set(data)
    for (const [i, other] of others.entries()) {
      all.set(valuesOf(other, 'BF16'), (rows + i) * columns)
    }
    const read = await readMatrix(gpu, matrix)
    const right = packed(all, rows + more, columns, type)
    expect(Buffer.compare(bytesOf(read.words), bytesOf(right.words))).toBe(0)
    expect(read.scales).toEqual(right.scales)
    gpu.buffers.destroy(matrix.range.buffer)
  })

  test('interleaved', async () => {
    const [rows, columns] = [6, 70]
    const [a, b] = [new Random(2), new Random(3)].map((random) => random.normals(rows * columns))
    const weights = new WeightUploader(gpu.buffers, type)
    const matrix = await weights.interleaved(
      'matrix',
      tensorOf(a, [rows, columns], 'F16'),
      tensorOf(b, [rows, columns], 'BF16'),
    )
    await weights.finish()
    const all = new Float32Array(2 * rows * columns)
    for (let row = 0; row < rows; row++) {
      const from = [row * columns, (row + 1) * columns] as const
      all.set(valuesOf(a, 'F16').subarray(...from), 2 * row * columns)
      all.set(valuesOf(b, 'BF16').subarray(...from), (2 * row + 1) * columns)
    }
    expect(await readMatrix(gpu, matrix)).toEqual(packed(all, 2 * rows, columns, type))
  })

  test('random tensors are the same from the host and from the GPU', async () => {
    const [rows, columns] = [37, 60_000]
    const source = noiseTensor('layers.0.mlp.up_proj.weight', [rows, columns], 'config.json')
    const weights = new WeightUploader(gpu.buffers, type)
    const matrix = await weights.stacked('matrix', [source])
    await weights.finish()
    const values = decode(await source.readRows(0, rows), 'F32')
    const read = await readMatrix(gpu, matrix)
    expect(
      Buffer.compare(bytesOf(read.words), bytesOf(packed(values, rows, columns, type).words)),
    ).toBe(0)
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length
    expect(variance * columns).toBeCloseTo(1, 2)
    expect(new Set(values.subarray(0, 1000)).size).toBeGreaterThan(990)
  })
})

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

describe('what cannot be a weight', () => {
  const shape: [number, number] = [600, 8192]
  const size = shape[0] * shape[1]
  const perBlock = BLOCK_BYTES / 4

  test.each([0, perBlock - 1, perBlock, 2 * perBlock + 77, size - 1])(
    'NaN at element %i',
    async (place) => {
      const data = new Float32Array(size)
      data[place] = Number.NaN
      const weights = new WeightUploader(gpu.buffers, 'int8')
      await weights.stacked('fine', [tensorOf(new Float32Array(64), [2, 32], 'F16')])
      await weights.stacked('bad', [tensorOf(data, shape, 'F32')])
      await expect(weights.finish()).rejects.toThrow(
        `model.safetensors: tensor w, element ${place}: found NaN; weights must be finite`,
      )
    },
  )

  test.each([
    ['f16', 'F32', 100_000, '100000 does not fit in float16 (at most 65504); use --dtype float32'],
    ['f16', 'F16', Number.NEGATIVE_INFINITY, 'found -Infinity; weights must be finite'],
    ['f32', 'BF16', Number.POSITIVE_INFINITY, 'found Infinity; weights must be finite'],
    ['int4', 'F32', 1e9, '1000000000 does not fit in int4 with float16 scales (at most 458528)'],
  ] as const)(
    '%s from %s: %p, in the second of two interleaved',
    async (type, dtype, bad, text) => {
      const data = new Float32Array(5 * 33)
      data[37] = bad
      const weights = new WeightUploader(gpu.buffers, type)
      await weights.interleaved(
        'matrix',
        tensorOf(new Float32Array(5 * 33), [5, 33], dtype),
        tensorOf(data, [5, 33], dtype),
      )
      const error = await weights.finish().catch((reason) => reason)
      expect(error).toBeInstanceOf(CheckpointError)
      expect(error.message).toContain(`tensor w, element 37: ${text}`)
    },
  )

  test('of several, the first that was loaded is named', async () => {
    const bad = (name: string) => ({
      ...tensorOf(new Float32Array(32).fill(Number.NaN), [1, 32], 'F32'),
      name,
    })
    const weights = new WeightUploader(gpu.buffers, 'f32')
    await weights.stacked('matrix', [bad('first'), bad('second')])
    await expect(weights.finish()).rejects.toThrow('tensor first, element 0')
  })

  test('a read that fails ends the load after all others have ended', async () => {
    let reading = 0
    const several = Promise.withResolvers<void>()
    const slow = Promise.withResolvers<void>()
    const source = tensorOf(new Float32Array(size), shape, 'F32', async (first) => {
      if (++reading === 2) several.resolve()
      if (first > 0) await slow.promise
      reading--
      if (first === 0) throw new CheckpointError('model.safetensors', 'ended at byte 7')
    })
    const weights = new WeightUploader(gpu.buffers, 'f16')
    let ended = false
    const load = weights.stacked('matrix', [source]).finally(() => {
      ended = true
    })
    load.catch(() => {})
    await several.promise
    expect(ended).toBe(false)
    slow.resolve()
    await expect(load).rejects.toThrow('ended at byte 7')
    expect(reading).toBe(0)
    await weights.finish()
  })

  test('rows larger than a block', async () => {
    const columns = BLOCK_BYTES / 4 + 1
    const source = noiseTensor('w', [1, columns], 'config.json')
    const weights = new WeightUploader(gpu.buffers, 'f16')
    await expect(weights.stacked('matrix', [source])).rejects.toThrow(
      `tensor w: rows of ${4 * columns} bytes; at most ${BLOCK_BYTES} can be loaded`,
    )
  })
})

test.each(types)('a checkpoint in shards, as %s', async (type) => {
  await using temp = await TempFolder.create()
  const random = new Random(9)
  const shapes: [string, [number, number]][] = [
    ['a', [1000, 513]],
    ['b', [4097, 64]],
    ['c', [3, 33]],
    ['d', [2000, 512]],
  ]
  const tensors = shapes.map(([name, shape]) => {
    const data = random.normals(shape[0] * shape[1], 0.05)
    return [name, { dtype: 'BF16', shape, data }] as const
  })
  await writeShards(temp.path, Object.fromEntries(tensors), 3)
  await writeJson(join(temp.path, 'config.json'), {})
  await using checkpoint = await openCheckpoint(temp.path)
  const weights = new WeightUploader(gpu.buffers, type)
  for (const [name, { shape, data }] of tensors) {
    const matrix = await weights.stacked(name, [checkpoint.tensors.get(name)!])
    const right = packed(valuesOf(data, 'BF16'), shape[0], shape[1], type)
    const read = await readMatrix(gpu, matrix)
    expect(Buffer.compare(bytesOf(read.words), bytesOf(right.words))).toBe(0)
    if (name !== 'c') expect(read.scales).toEqual(right.scales)
  }
  await weights.finish()
})

test('random weights need config.json alone', async () => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path, { kind: 'gla' })
  const stored = await openCheckpoint(temp.path)
  const bytes = [...stored.tensors.values()].reduce(
    (sum, { shape }) => sum + 4 * shape.reduce((product, n) => product * n, 1),
    0,
  )
  await stored[Symbol.asyncDispose]()
  await Bun.file(join(temp.path, 'model.safetensors')).delete()
  await using checkpoint = await openCheckpoint(temp.path, { withoutWeights: true })
  const config = parseModelConfig(checkpoint.config, checkpoint.configFile)
  const tensors = randomTensors(config, checkpoint.configFile)
  expect(usedBytes(tensors)).toBe(bytes)
  const norm = decode(await tensors.finalNorm.readRows(0, config.hiddenSize), 'F32')
  for (const value of norm) expect(Math.abs(value - 1)).toBeLessThanOrEqual(0.02)
  expect(new Set(norm).size).toBeGreaterThan(20)
})
