import { expect, test } from 'bun:test'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LARGE_PRODUCTS, SMALL_PRODUCTS } from '../../src/gpu/products.ts'
import { loadTuning, saveTuning } from '../../src/gpu/tuning-cache.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const key = {
  ...{ adapter: 'some GPU', version: '1.2.3', weights: 'int8' },
  ...{ hiddenSize: 64, innerSize: 128 },
}

test('a tuning comes back as it was, for the same key alone', async () => {
  await using folder = await TempFolder.create()
  expect(await loadTuning(key, folder.path)).toBeUndefined()
  expect(await saveTuning(key, LARGE_PRODUCTS, folder.path)).toBe(true)
  expect(await loadTuning(key, folder.path)).toEqual(LARGE_PRODUCTS)
  for (const other of [{ version: '1.2.4' }, { adapter: 'another' }, { weights: 'f16' }]) {
    expect(await loadTuning({ ...key, ...other }, folder.path)).toBeUndefined()
  }
  await saveTuning(key, SMALL_PRODUCTS, folder.path)
  expect(await loadTuning(key, folder.path)).toEqual(SMALL_PRODUCTS)
})

test.each(['', '{}', '{"key": {}, "products": {"lanes": {"lanes": 0}}}'])(
  'a file with %j is measured over',
  async (content) => {
    await using folder = await TempFolder.create()
    await saveTuning(key, LARGE_PRODUCTS, folder.path)
    const [name] = await readdir(folder.path)
    await Bun.write(join(folder.path, name), content)
    expect(await loadTuning(key, folder.path)).toBeUndefined()
  },
)

test('a folder that cannot be written is no fault', async () => {
  await using folder = await TempFolder.create()
  const file = join(folder.path, 'file')
  await Bun.write(file, '')
  expect(await saveTuning(key, LARGE_PRODUCTS, file)).toBe(false)
})
