// Against published answers of FNV-1a with 32 bits.
import { expect, test } from 'bun:test'
import { fnv1a } from '../src/fnv.ts'

test.each<[string, number]>([
  ['', 0x811c9dc5],
  ['a', 0xe40c292c],
  ['foobar', 0xbf9cf968],
])('%j', (text, hash) => {
  expect(fnv1a(text)).toBe(hash)
})
