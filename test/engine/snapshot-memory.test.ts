import { describe, expect, test } from 'bun:test'
import { PrefixCache, type PrefixQuery } from '../../src/engine/prefix-cache.ts'
import { SnapshotMemory, type SnapshotMemoryOptions } from '../../src/engine/snapshot-memory.ts'
import { type BufferRange, Buffers } from '../../src/gpu/buffers.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const { gpu, buffers } = await openTestGpu()
const { queue } = gpu.device

/** A row of 303 words, which no block of 1,000 words holds more than three of. */
const row = { stateBytes: 1200, logitsBytes: 12 }
const rowBytes = 1212
const blockBytes = 4000

function create(
  options: Partial<SnapshotMemoryOptions>,
  within = new Buffers(gpu.device, blockBytes),
) {
  return SnapshotMemory.create(within, gpu.release, {
    ...row,
    gpuBytes: 0,
    hostBytes: 0,
    ...options,
  })
}

/** Any bits, quiet and signalling NaN, infinities and subnormal numbers among them. */
function bits(): Uint32Array<ArrayBuffer> {
  const words = crypto.getRandomValues(new Uint32Array(rowBytes / 4))
  words.set([0x7fc00001, 0x7f800001, 0xffffffff, 0xff800000, 0x00000001, 0x80000000, 0])
  return words
}

function write({ buffer, offset = 0 }: BufferRange, data: Uint32Array<ArrayBuffer>): void {
  queue.writeBuffer(buffer, offset, data)
}

async function read(range: BufferRange): Promise<Uint32Array> {
  return new Uint32Array(await buffers.read(range))
}

describe('rows', () => {
  test.each([
    ['none', 0, 0, 0, 0, 0, 0],
    ['less than one', rowBytes - 1, 10 * rowBytes, 0, 0, 0, 0],
    ['one, no host memory', rowBytes, 0, 1, 0, 1, 1],
    ['one, host memory for less than one', rowBytes, rowBytes - 1, 1, 0, 1, 1],
    ['three in a buffer', 3 * rowBytes, rowBytes, 3, 1, 1, 3],
    ['eight in three buffers, nine copies', 9 * rowBytes - 1, 9 * rowBytes, 8, 9, 3, 8],
  ])('%s', async (_, gpuBytes, hostBytes, rows, hostRows, blocks, inBlocks) => {
    using own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes, hostBytes }, own)
    expect(memory).toMatchObject({ rows, hostRows, rowBytes, canSave: hostRows > 0 })
    expect(memory.blocks).toHaveLength(blocks)
    // Small rows: a readback buffer for each copy.
    expect(own.bytes).toBe((inBlocks + hostRows) * rowBytes)
  })

  test('none if a row is larger than a buffer may be', async () => {
    const memory = await create(
      { gpuBytes: 2 ** 20, hostBytes: 2 ** 20 },
      new Buffers(gpu.device, 1208),
    )
    expect(memory).toMatchObject({ rows: 0, hostRows: 0, canSave: false })
  })

  test('lie apart, state before logits', async () => {
    using own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes: 5 * rowBytes }, own)
    const contents = Array.from({ length: 5 }, bits)
    for (const [row, words] of contents.entries()) {
      write(memory.state(row), words.subarray(0, 300))
      write(memory.logits(row), words.subarray(300))
    }
    for (const [row, words] of contents.entries()) {
      expect(await read(memory.range(row))).toEqual(words)
      expect(await read(memory.state(row))).toEqual(words.slice(0, 300))
      expect(await read(memory.logits(row))).toEqual(words.slice(300))
    }
    expect(() => memory.range(5)).toThrow('snapshot row 5 of 5')
  })

  test('are made of whole words', async () => {
    expect(create({ stateBytes: 1201 })).rejects.toThrow('snapshots are made of whole words')
  })
})

describe('host copies', () => {
  test('come back with the same bits, though their rows were written at once', async () => {
    using own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes: 4 * rowBytes, hostBytes: 5 * rowBytes }, own)
    const contents = Array.from({ length: 5 }, bits)
    const save = (index: number) => {
      write(memory.range(index % 4), contents[index])
      const saved = memory.save(index % 4, index)
      write(memory.range(index % 4), bits())
      return saved
    }
    const saved = [0, 1, 2, 3, 4].map(save)
    expect(memory.canSave).toBeFalse()
    expect(memory.save(0, 4)).rejects.toThrow('a snapshot saved without a free readback buffer')
    await Promise.all(saved)
    expect(memory.canSave).toBeTrue()
    for (const [index, words] of contents.entries()) {
      memory.restore(index, 3 - (index % 4))
      expect(await read(memory.range(3 - (index % 4)))).toEqual(words)
    }
    expect(own.bytes).toBe(9 * rowBytes)
  })

  test('a host row is used again', async () => {
    using own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes: 2 * rowBytes, hostBytes: rowBytes }, own)
    const last = bits()
    for (const words of [bits(), bits(), last]) {
      write(memory.range(1), words)
      await memory.save(1, 0)
    }
    memory.restore(0, 0)
    expect(await read(memory.range(0))).toEqual(last)
    expect(memory.save(0, 1)).rejects.toThrow('host row 1 of 1')
    expect(() => memory.restore(1, 0)).toThrow('nothing was saved in host row 1')
  })
})

const prompt = (token: number): PrefixQuery => ({
  tokens: new Array<number>(128).fill(token),
  salt: '',
  breakpoints: [],
})

describe('under a prefix cache', () => {
  test('more snapshots than rows keep their bits', async () => {
    using own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes: 2 * rowBytes, hostBytes: 4 * rowBytes }, own)
    const cache = new PrefixCache({ exact: true, memory })
    const contents = Array.from({ length: 6 }, bits)
    for (const [token, words] of contents.entries()) {
      write(memory.range(cache.put(prompt(token), 128, true)!), words)
      cache.submitted()
      await cache.settled()
      cache.check()
    }
    expect(cache.stats()).toMatchObject({
      snapshots: 6,
      gpuBytes: 2 * rowBytes,
      hostBytes: 4 * rowBytes,
      demoted: 4,
      evicted: 0,
    })
    // Twice, as the first round moves all of them. Bringing one in while the host is full costs one.
    for (const token of [5, 4, 3, 2, 1, 5, 4, 3, 2, 1]) {
      const row = cache.row(cache.find(prompt(token))!)!
      cache.submitted()
      expect(await read(memory.range(row))).toEqual(contents[token])
      await cache.settled()
      cache.check()
    }
    expect(cache.stats()).toMatchObject({ snapshots: 5, evicted: 1 })
  })

  test('a copy that cannot be read costs that snapshot only', async () => {
    const own = new Buffers(gpu.device, blockBytes)
    const memory = await create({ gpuBytes: rowBytes, hostBytes: 2 * rowBytes }, own)
    const cache = new PrefixCache({ exact: true, memory })
    gpu.device.pushErrorScope('validation')
    for (const token of [1, 2]) {
      expect(cache.put(prompt(token), 128, true)).toBe(0)
      cache.submitted()
      own[Symbol.dispose]()
    }
    await cache.settled()
    expect(await gpu.device.popErrorScope()).not.toBeNull()
    cache.check()
    expect(cache.find(prompt(1))).toBeUndefined()
    expect(cache.stats()).toMatchObject({ snapshots: 1, demoted: 0, evicted: 1, hostBytes: 0 })
    expect(memory.canSave).toBeTrue()
  })
})
