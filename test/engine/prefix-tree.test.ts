import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type PrefixEntry, PrefixTree } from '../../src/engine/prefix-tree.ts'

/** The same by looking at every stored prefix. */
class NaivePrefixes {
  readonly stored: { salt: string; tokens: readonly number[]; value: number }[] = []

  prefixesOf(salt: string, tokens: readonly number[], length: number): number[] {
    return this.stored
      .filter((each) => each.salt === salt && each.tokens.length <= length)
      .filter((each) => shared(each.tokens, tokens) === each.tokens.length)
      .sort((a, b) => b.tokens.length - a.tokens.length || b.value - a.value)
      .map((each) => each.value)
  }

  sharedLength(salt: string, tokens: readonly number[]): number {
    const same = this.stored.filter((each) => each.salt === salt)
    return Math.max(0, ...same.map((each) => shared(each.tokens, tokens)))
  }
}

function shared(a: readonly number[], b: readonly number[]): number {
  let length = 0
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length++
  return length
}

const salt = fc.constantFrom('', 'a')
const tokens = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 10 })
const step = fc.record({
  salt,
  tokens,
  /** Part of the tokens that is stored, or looked up. */
  part: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom('add', 'add', 'remove', 'look up'),
  typed: fc.boolean(),
})

describe('prefix tree', () => {
  test('finds what looking at every prefix finds, and keeps no node too many', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tree = new PrefixTree<number>()
        const naive = new NaivePrefixes()
        const entries: PrefixEntry<number>[] = []
        for (const [value, { salt, tokens, part, kind, typed }] of steps.entries()) {
          const length = Math.max(1, Math.round(part * tokens.length))
          const given = typed ? Uint32Array.from(tokens) : tokens
          if (kind === 'add') {
            const entry = tree.add(salt, given, length, value)
            expect(entry).toMatchObject({ salt, length, value })
            entries.push(entry)
            naive.stored.push({ salt, tokens: tokens.slice(0, length), value })
          } else if (kind === 'remove' && entries.length > 0) {
            const index = Math.floor(part * (entries.length - 1))
            tree.remove(entries[index])
            entries.splice(index, 1)
            naive.stored.splice(index, 1)
          }
          const found = tree.prefixesOf(salt, given, length)
          expect(found.map((entry) => entry.value)).toEqual(naive.prefixesOf(salt, tokens, length))
          expect(tree.sharedLength(salt, given)).toBe(naive.sharedLength(salt, tokens))
          expect(new Set(tree)).toEqual(new Set(entries))
          tree.check()
        }
        for (const entry of entries) tree.remove(entry)
        tree.check()
        expect([...tree]).toEqual([])
      }),
      { numRuns: 1000, seed: 1 },
    )
  })

  test('later changes of the array that was stored do not reach the tree', () => {
    const tree = new PrefixTree<string>()
    const tokens = Uint32Array.of(1, 2, 3)
    tree.add('', tokens, 3, 'kept')
    tokens[1] = 9
    expect(tree.sharedLength('', tokens)).toBe(1)
    expect(tree.prefixesOf('', [1, 2, 3, 4])).toMatchObject([{ value: 'kept', length: 3 }])
  })

  test('ids up to 2^32 - 1 and the zero id are told apart', () => {
    const tree = new PrefixTree<string>()
    tree.add('', [0, 2 ** 32 - 1], 2, 'large')
    tree.add('', [0, 0], 2, 'small')
    expect(tree.prefixesOf('', [0, 2 ** 32 - 1])).toMatchObject([{ value: 'large' }])
    expect(tree.prefixesOf('', [0, 0, 0])).toMatchObject([{ value: 'small' }])
  })

  test.each([[0], [4]])('a prefix of %i of 3 tokens is refused', (length) => {
    const tree = new PrefixTree<string>()
    expect(() => tree.add('', [1, 2, 3], length, 'x')).toThrow(`no prefix of ${length} tokens`)
  })

  test('an entry cannot be removed twice', () => {
    const tree = new PrefixTree<string>()
    const entry = tree.add('', [1, 2], 2, 'x')
    tree.add('', [1, 2], 2, 'x')
    tree.remove(entry)
    expect(() => tree.remove(entry)).toThrow('the prefix of 2 tokens was removed before')
  })
})
