import { describe, expect, test } from 'bun:test'
import { ResponseStore, type StoredResponse } from '../../src/http/responses/store.ts'

function stored(id: string, tokens = 4): StoredResponse {
  const prompt = new Uint32Array(tokens)
  return { id, response: { id }, input: [], messages: [], prompt, promptEnds: [tokens] }
}

describe('stored responses', () => {
  test('are found until they are deleted', () => {
    const store = new ResponseStore({ responses: 2, bytes: 1e6 })
    store.add(stored('a'))
    expect(store.get('a')?.id).toBe('a')
    expect(store.delete('a')).toBe(true)
    expect(store.delete('a')).toBe(false)
    expect(store.get('a')).toBeUndefined()
  })

  test('leave by least recent use', () => {
    const store = new ResponseStore({ responses: 2, bytes: 1e6 })
    for (const id of ['a', 'b']) store.add(stored(id))
    store.get('a')
    store.add(stored('c'))
    expect(['a', 'b', 'c'].map((id) => store.get(id) !== undefined)).toEqual([true, false, true])
    expect(store.size).toBe(2)
  })

  test('are bounded in bytes, and one that is too large is not kept', () => {
    const store = new ResponseStore({ responses: 100, bytes: 10_000 })
    for (const id of ['a', 'b', 'c']) store.add(stored(id, 1000))
    expect(['a', 'b', 'c'].map((id) => store.get(id) !== undefined)).toEqual([false, true, true])
    expect(store.add(stored('d', 2500))).toBe(false)
    expect(store.get('d')).toBeUndefined()
    expect(store.size).toBe(2)
    store.add(stored('b', 1200))
    expect(store.size).toBe(2)
    for (const id of ['b', 'c']) store.delete(id)
    store.add(stored('e', 2400))
    expect(store.size).toBe(1)
  })

  test('are kept as they were, and no part of them grows afterwards', () => {
    const store = new ResponseStore({ responses: 2, bytes: 1e6 })
    const given = { ...stored('a'), messages: [{ role: 'user' }] }
    expect(store.add(given)).toBe(true)
    given.messages.push({ role: 'assistant' })
    expect(store.get('a')).toEqual({ ...given, messages: [{ role: 'user' }] })
  })

  test('are none if none are wanted', () => {
    const store = new ResponseStore({ responses: 0, bytes: 1e6 })
    expect(store.add(stored('a'))).toBe(false)
    expect(store.size).toBe(0)
  })
})
