// The safetensors reader: headers, lazy reads, and parts of tensors.

import { describe, expect, test } from 'bun:test'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError } from '../../src/errors.ts'
import { openSafetensors, parseHeader } from '../../src/loader/safetensors.ts'
import { readVector, reshape, selectRows } from '../../src/loader/tensor-source.ts'
import { writeRawSafetensors, writeSafetensors } from '../helpers/checkpoints.ts'
import { Random } from '../helpers/numbers.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

function parse(header: unknown, dataBytes: number) {
  return parseHeader(new TextEncoder().encode(JSON.stringify(header)), dataBytes, 'x.safetensors')
}

/** [4, 3] matrix of 0, 1, 2, … */
const MATRIX = { dtype: 'F32', shape: [4, 3], data: Float32Array.from({ length: 12 }, (_, i) => i) }

async function numbers(bytes: Promise<Uint8Array>): Promise<number[]> {
  return [...new Float32Array((await bytes).slice().buffer)]
}

describe('headers', () => {
  test('metadata, empty tensors, scalars and any order of keys are fine', () => {
    const entries = parse(
      {
        __metadata__: { format: 'pt' },
        late: { dtype: 'BF16', shape: [2, 1], data_offsets: [4, 8] },
        empty: { dtype: 'F32', shape: [0, 4], data_offsets: [4, 4] },
        scalar: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      },
      8,
    )
    expect(Object.fromEntries(entries)).toEqual({
      scalar: { dtype: 'F32', shape: [], begin: 0, end: 4 },
      empty: { dtype: 'F32', shape: [0, 4], begin: 4, end: 4 },
      late: { dtype: 'BF16', shape: [2, 1], begin: 4, end: 8 },
    })
  })

  test.each([
    ['dtype missing', { shape: [1], data_offsets: [0, 4] }, 'dtype: found nothing'],
    ['shape missing', { dtype: 'F32', data_offsets: [0, 4] }, 'shape: found nothing'],
    ['nine dimensions', { dtype: 'F32', shape: Array(9).fill(1), data_offsets: [0, 4] }, 'shape'],
    ['size overflow', { dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 4] }, 'shape'],
    ['broken size', { dtype: 'F32', shape: [0.5], data_offsets: [0, 4] }, 'shape: found [0.5]'],
    ['one offset', { dtype: 'F32', shape: [1], data_offsets: [0] }, 'data_offsets: found [0]'],
    ['negative', { dtype: 'F32', shape: [1], data_offsets: [-4, 0] }, 'data_offsets: found [-4,0]'],
    ['a number', 7, 'entry: found 7'],
    [
      'a dtype named like a method',
      { dtype: 'toString', shape: [1], data_offsets: [0, 4] },
      'dtype',
    ],
  ])('%s is refused by name', (_, entry, words) => {
    expect(() => parse({ t: entry }, 4)).toThrow(CheckpointError)
    expect(() => parse({ t: entry }, 4)).toThrow(`x.safetensors: tensor t: ${words}`)
  })

  test('a name that would break the line of an error is refused', () => {
    const entry = { dtype: 'F32', shape: [1], data_offsets: [0, 4] }
    expect(() => parse({ 'a\nb': entry }, 4)).toThrow('tensor name "a\\nb"; allowed')
  })

  test('the same key inside two entries is no duplicate', () => {
    const text = '{"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}}'
    expect(() => parseHeader(new TextEncoder().encode(text), 0, 'x')).toThrow(
      'a is in the header twice',
    )
    expect(parse({ a: { dtype: 'F16', shape: [1], data_offsets: [0, 2] } }, 2).size).toBe(1)
  })

  test('2,000 damaged headers give entries or a CheckpointError, nothing else', async () => {
    const file = join(import.meta.dir, '../fixtures/golden/hybrid_list/model.safetensors')
    const bytes = await Bun.file(file).bytes()
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    const header = bytes.subarray(8, 8 + length)
    const dataBytes = bytes.length - 8 - length
    expect(parseHeader(header, dataBytes, file).size).toBe(32)
    const random = new Random(5)
    const alphabet = new TextEncoder().encode('0123456789-.e"{}[],: aF\\u')
    let refused = 0
    for (let round = 0; round < 2000; round++) {
      const damaged = header.slice()
      for (let i = random.integer(1, 3); i > 0; i--) {
        const letter = alphabet[random.integer(0, alphabet.length - 1)]
        damaged[random.integer(0, length - 1)] = letter
      }
      try {
        parseHeader(damaged, dataBytes, file)
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError)
        expect((error as Error).message).not.toContain('\n')
        refused++
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })

  test('bytes that are not UTF-8 are no JSON', () => {
    expect(() => parseHeader(Uint8Array.of(0x7b, 0xff, 0x7d), 0, 'x')).toThrow('not JSON')
  })
})

describe('reading', () => {
  test('only the rows asked for', async () => {
    await using temp = await TempFolder.create()
    const path = join(temp.path, 'm.safetensors')
    await writeSafetensors(path, { first: MATRIX, second: { ...MATRIX, shape: [12] } })
    await using file = (await openSafetensors(path))!
    const first = file.tensors.get('first')!
    expect(await numbers(first.readRows(1, 2))).toEqual([3, 4, 5, 6, 7, 8])
    expect(await numbers(first.readRows(4, 0))).toEqual([])
    const second = file.tensors.get('second')!
    expect(await numbers(second.readRows(10, 2))).toEqual([10, 11])
    expect([...(await readVector(second))]).toEqual([...MATRIX.data])
    await expect(first.readRows(3, 2)).rejects.toThrow('broken invariant')
  })

  test('a huge sparse file opens at once and is read by position', async () => {
    await using temp = await TempFolder.create()
    const path = join(temp.path, 'huge.safetensors')
    const rows = 2 ** 21
    const size = rows * 4096
    const header = JSON.stringify({
      w: { dtype: 'F16', shape: [rows, 2048], data_offsets: [0, size] },
    })
    await writeRawSafetensors(path, header, new Uint8Array(0))
    await truncate(path, 8 + header.length + size)
    await using file = (await openSafetensors(path))!
    const last = await file.tensors.get('w')!.readRows(rows - 1, 1)
    expect(last).toEqual(new Uint8Array(4096))
  })

  test('a file that shrinks while it is open gives an error, not garbage', async () => {
    await using temp = await TempFolder.create()
    const path = join(temp.path, 'm.safetensors')
    await writeSafetensors(path, { w: MATRIX })
    await using file = (await openSafetensors(path))!
    await truncate(path, 90)
    await expect(file.tensors.get('w')!.readRows(0, 4)).rejects.toThrow('ended at byte 90')
  })

  test('an absent file is undefined', async () => {
    expect(await openSafetensors('/nowhere/model.safetensors')).toBeUndefined()
  })
})

describe('parts of a tensor', () => {
  const rows = [...Array(4).keys()].map((row) => [3 * row, 3 * row + 1, 3 * row + 2])

  test('any range of selected rows, across spans', async () => {
    await using temp = await TempFolder.create()
    const path = join(temp.path, 'm.safetensors')
    await writeSafetensors(path, { w: MATRIX })
    await using file = (await openSafetensors(path))!
    const order = [2, 3, 0, 0, 1]
    const spans = [
      { first: 2, count: 2 },
      { first: 0, count: 1 },
      { first: 0, count: 2 },
    ]
    const selected = selectRows(file.tensors.get('w')!, spans, 'w[some]')
    expect(selected.shape).toEqual([5, 3])
    for (let first = 0; first <= 5; first++) {
      for (let count = 0; first + count <= 5; count++) {
        const expected = order.slice(first, first + count).flatMap((row) => rows[row])
        expect(await numbers(selected.readRows(first, count))).toEqual(expected)
      }
    }
    const flat = reshape(file.tensors.get('w')!, [4, 1, 3])
    expect(await numbers(flat.readRows(1, 1))).toEqual(rows[1])
  })
})
