// Files that are written are files that can be read, whole or in shards.
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openSafetensors } from '../../src/loader/safetensors.ts'
import {
  type TensorToWrite,
  weightBytes,
  writeWeights,
} from '../../src/loader/safetensors-writer.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

let count = 0

async function folder(): Promise<string> {
  const path = join(temp.path, `${count++}`)
  await mkdir(path)
  return path
}

/** A tensor of this many rows of four, in blocks of one row. */
function tensor(name: string, rows: number): TensorToWrite {
  const row = (i: number) => new Uint8Array(8).fill(i + 1)
  return {
    ...{ name, shape: [rows, 4], dtype: 'F16' },
    blocks: () => Array.from({ length: rows }, (_, i) => row(i)),
  }
}

const TENSORS = [tensor('a', 3), tensor('b', 1), tensor('c', 5)]
const NO_LIMIT = Number.POSITIVE_INFINITY

test('one file: names, shapes and bytes; data begin at a multiple of eight', async () => {
  const path = await folder()
  const progress: number[] = []
  const names = await writeWeights(path, TENSORS, {
    maxShardBytes: NO_LIMIT,
    onProgress: (done) => progress.push(done),
  })
  expect(names).toEqual(['model.safetensors'])
  expect(weightBytes(TENSORS)).toBe(72)
  expect(progress).toEqual([8, 16, 24, 32, 40, 48, 56, 64, 72])
  await using file = (await openSafetensors(join(path, 'model.safetensors')))!
  expect([...file.tensors.keys()]).toEqual(['a', 'b', 'c'])
  const c = file.tensors.get('c')!
  expect(c).toMatchObject({ shape: [5, 4], dtype: 'F16' })
  expect(await c.readRows(4, 1)).toEqual(new Uint8Array(8).fill(5))
  const bytes = await Bun.file(join(path, 'model.safetensors')).bytes()
  const header = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  expect((8 + header) % 8).toBe(0)
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + header)))
  // What transformers insists on.
  expect(json.__metadata__).toEqual({ format: 'pt' })
})

describe('shards', () => {
  test.each<[number, string[][]]>([
    [72, [['a', 'b', 'c']]],
    [71, [['a', 'b'], ['c']]],
    [32, [['a', 'b'], ['c']]],
    [31, [['a'], ['b'], ['c']]],
    // A tensor is never cut.
    [1, [['a'], ['b'], ['c']]],
  ])('of at most %d bytes', async (maxShardBytes, expected) => {
    const path = await folder()
    await writeWeights(path, TENSORS, { maxShardBytes })
    const files = (await readdir(path)).filter((name) => name.endsWith('.safetensors')).sort()
    const found: string[][] = []
    for (const name of files) {
      await using file = (await openSafetensors(join(path, name)))!
      found.push([...file.tensors.keys()])
    }
    expect(found).toEqual(expected)
    if (expected.length === 1) return
    const index = await Bun.file(join(path, 'model.safetensors.index.json')).json()
    expect(index).toEqual({
      metadata: { total_size: 72 },
      weight_map: Object.fromEntries(
        expected.flatMap((names, i) => names.map((name) => [name, files[i]])),
      ),
    })
  })
})

test('a tensor of too few bytes is a fault of ours', async () => {
  const short = { ...tensor('a', 3), blocks: () => [new Uint8Array(8)] }
  const written = writeWeights(await folder(), [short], { maxShardBytes: NO_LIMIT })
  await expect(written).rejects.toThrow('bytes of a')
})

test('nothing is written over', async () => {
  const path = await folder()
  await Bun.write(join(path, 'model.safetensors'), 'mine')
  const written = writeWeights(path, TENSORS, { maxShardBytes: NO_LIMIT })
  await expect(written).rejects.toThrow('EEXIST')
  expect(await Bun.file(join(path, 'model.safetensors')).text()).toBe('mine')
})
