// Masks that take long or for ever: nobody else waits for them.
import { describe, expect, test } from 'bun:test'
import type { GenerationRequest } from '../../src/engine/request.ts'
import { ApiError } from '../../src/errors.ts'
import { collect, EOS, makeRequest, openFakeEngine, textOf, VOCAB } from '../helpers/fake-runner.ts'
import { alternate, fakeGuides } from '../helpers/guides.ts'

async function alone(request: GenerationRequest): Promise<string> {
  const { engine } = await openFakeEngine({ slots: 1 })
  return textOf(engine.submit(request))
}

describe('a mask that takes for ever', () => {
  const stuck = (more: Partial<GenerationRequest> = {}) =>
    makeRequest({
      guide: () => ({ allowed: () => new Promise(() => {}), accept() {}, [Symbol.dispose]() {} }),
      ...more,
    })
  /** Until everything that can happen without a step has happened. */
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

  test('lets steps of others go on', async () => {
    const slow = Promise.withResolvers<Uint32Array>()
    const stuck = makeRequest({
      guide: () => ({ allowed: () => slow.promise, accept() {}, [Symbol.dispose]() {} }),
    })
    const { engine } = await openFakeEngine({ slots: 2 })
    const waiting = textOf(engine.submit(stuck))
    const neighbour = makeRequest({ maxTokens: 12, ignoreEos: true })
    expect(await textOf(engine.submit(neighbour))).toBe(await alone(neighbour))
    slow.reject(new ApiError(400, 'too slow'))
    await expect(waiting).rejects.toMatchObject({ message: 'too slow' })
    expect(engine.stats()).toMatchObject({ freeSlots: 2, waiting: 0, fault: undefined })
  })

  test('holds up nobody who comes later', async () => {
    const { engine } = await openFakeEngine({ slots: 2 })
    const waiting = engine.submit(stuck())
    await turn()
    expect(await textOf(engine.submit(makeRequest()))).toBe(await alone(makeRequest()))
    waiting.abort()
    await turn()
    expect(engine.stats()).toMatchObject({ freeSlots: 2, waiting: 0, running: 0 })
  })

  test('that is given up for another request leaves the engine at that one', async () => {
    const { engine } = await openFakeEngine({ slots: 1 })
    const all = fakeGuides({ vocabSize: VOCAB, rule: alternate(VOCAB, [EOS]) })
    const isWaitedFor = Promise.withResolvers<void>()
    const first = engine.submit(
      makeRequest({
        guide: () => {
          const guide = all.make()
          const stop = () => {
            isWaitedFor.resolve()
            return new Promise<never>(() => {})
          }
          let accepted = 0
          return {
            allowed: () => (accepted === 0 ? guide.allowed() : stop()),
            accept: (id) => {
              accepted++
              guide.accept(id)
            },
            [Symbol.dispose]() {},
          }
        },
      }),
    )
    const given = collect(first)
    await isWaitedFor.promise
    await turn()
    const next = makeRequest({ maxTokens: 4, ignoreEos: true, guide: all.make })
    const text = textOf(engine.submit(next))
    first.abort()
    expect(await text).toBe(await alone(next))
    await given
    expect(engine.stats()).toMatchObject({ freeSlots: 1, waiting: 0, fault: undefined })
  })

  test('does not keep the engine from closing', async () => {
    const { engine } = await openFakeEngine()
    const ends = collect(engine.submit(stuck()))
    await turn()
    await engine.close()
    expect(await ends).toEqual([])
  })

  test('ends at the deadline of its request', async () => {
    const { engine } = await openFakeEngine({ requestTimeoutMs: 60 })
    await expect(textOf(engine.submit(stuck()))).rejects.toMatchObject({ status: 504 })
  })

  test('of one that waits is asked for when a running one needs none', async () => {
    const asked: string[] = []
    const all = fakeGuides({ vocabSize: VOCAB, rule: alternate(VOCAB, [EOS]) })
    const named = (id: string, priority: number) =>
      makeRequest({
        ...{ maxTokens: 6, ignoreEos: true },
        ...{ id, priority },
        guide: () => {
          const guide = all.make()
          const allowed = () => {
            asked.push(id)
            return guide.allowed()
          }
          return { allowed, accept: (token) => guide.accept(token), [Symbol.dispose]() {} }
        },
      })
    const { engine } = await openFakeEngine({ slots: 1 })
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'urgent']
    const texts = ids.map((id) => textOf(engine.submit(named(id, id === 'urgent' ? -1 : 0))))
    await Promise.all(texts)
    expect(asked.slice(0, 4)).toEqual(['urgent', 'a', 'b', 'c'])
    expect(asked.filter((id) => id === 'f')).toHaveLength(6)
  })
})
