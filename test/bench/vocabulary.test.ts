// A completed tokenizer has a text for every id, and reads texts as before.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EMBEDDED_MODEL } from '../../src/serve/model.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { nameAllIds } from './vocabulary.ts'

const shipped = join(EMBEDDED_MODEL, 'tokenizer.json')
let temp: TempFolder

beforeAll(async () => {
  temp = await TempFolder.create()
  await copyFile(shipped, join(temp.path, 'tokenizer.json'))
  await nameAllIds(temp.path, 32_000)
})

afterAll(() => temp[Symbol.asyncDispose]())

test('every id has a text, and no two new ones the same', async () => {
  const tokenizer = await Tokenizer.open(join(temp.path, 'tokenizer.json'), undefined)
  expect(tokenizer.vocabSize).toBe(32_000)
  const texts = Array.from({ length: 32_000 }, (_, id) => tokenizer.display(id))
  expect(texts.filter((text) => text === '')).toEqual([])
  expect(new Set(texts.slice(4096)).size).toBe(32_000 - 4096)
})

test('texts have the ids that they had', async () => {
  const [before, after] = await Promise.all(
    [shipped, join(temp.path, 'tokenizer.json')].map((file) => Tokenizer.open(file, undefined)),
  )
  const text = 'Once upon a time w4096 there was a queen — 灯'
  expect(after.encode(text)).toEqual(before.encode(text))
})
