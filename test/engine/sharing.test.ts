// Work that requests share: who may wait for whom, what is handed on, and what is counted.
import { afterEach, expect, mock, spyOn, test } from 'bun:test'
import type { Generation } from '../../src/engine/request.ts'
import {
  collect,
  makePrompt,
  makeRequest,
  oneHot,
  openFakeEngine,
  textOf,
} from '../helpers/fake-runner.ts'

afterEach(() => mock.restore())

const cacheRead = async (generation: Generation) => (await collect(generation)).at(-1)?.cache?.read

test('a fork of a generation that reads its prompt stays within its salt', async () => {
  const { engine, runner } = await openFakeEngine({ held: true, snapshots: 8 })
  const prompt = makePrompt(200)
  const parent = engine.submit(makeRequest({ prompt, cacheSalt: 'tenant' }))
  const step = await runner.next()
  const fork = textOf(engine.fork(parent, makeRequest({ id: 'fork' })))
  parent.abort()
  step.finish()
  runner.release()
  await fork
  expect(await cacheRead(engine.submit(makeRequest({ prompt })))).toBe(0)
  expect(await cacheRead(engine.submit(makeRequest({ prompt, cacheSalt: 'tenant' })))).toBe(200)
})

test('a fork of a fork that has not begun is refused, its original goes on', async () => {
  const { engine, runner } = await openFakeEngine({ held: true, logits: () => oneHot(3) })
  const parent = engine.submit(makeRequest({ maxTokens: 6 }))
  const step = await runner.next()
  const child = engine.fork(parent, makeRequest({ id: 'child' }))
  expect(() => engine.fork(child, makeRequest({ id: 'grandchild' }))).toThrow(
    'generation child is a fork itself and has not begun; fork it after its first token',
  )
  step.finish()
  runner.release()
  expect(await textOf(parent)).toBe('dddddd')
  expect(await textOf(child)).toBe('ddd')
})

test.each(['samples of it', 'equal requests'])(
  'a queue timeout spares those that a prompt is computed for: %s',
  async (name) => {
    let now = 1000
    spyOn(performance, 'now').mockImplementation(() => now)
    const { engine, runner } = await openFakeEngine({
      ...{ slots: 4, held: true, snapshots: 4, queueTimeoutMs: 500 },
      logits: () => oneHot(3),
    })
    const prompt = makePrompt(300)
    const first = engine.submit(makeRequest({ prompt }))
    const sampleOf = name === 'samples of it' ? first : undefined
    const second = engine.submit(makeRequest({ prompt, sampleOf }))
    const step = await runner.next()
    now += 1000
    step.finish()
    runner.release()
    expect(await textOf(first)).toBe('ddd')
    expect(await textOf(second)).toBe('ddd')
  },
)

test('equal prompts are computed once, however short', async () => {
  const { engine } = await openFakeEngine({ slots: 4, snapshots: 4 })
  const prompt = makePrompt(20)
  const both = [1, 2].map(() => cacheRead(engine.submit(makeRequest({ prompt }))))
  expect(await Promise.all(both)).toEqual([0, 20])
})

test('samples of a prompt whose state is kept are copies, too, and counted', async () => {
  const { engine } = await openFakeEngine({ slots: 4, snapshots: 4 })
  const prompt = makePrompt(100)
  const alone = await textOf(engine.submit(makeRequest({ prompt })))
  const first = engine.submit(makeRequest({ prompt }))
  const others = [1, 2, 3].map(() => engine.submit(makeRequest({ prompt, sampleOf: first })))
  expect(await Promise.all([first, ...others].map(textOf))).toEqual([alone, alone, alone, alone])
  expect(engine.stats().forks).toBe(3)
})

test('an urgent request does not wait for one whose own wait is over', async () => {
  const { engine, runner } = await openFakeEngine({
    ...{ slots: 1, held: true, snapshots: 8, promptTokens: 64 },
  })
  const shared = makePrompt(128)
  const order: string[] = []
  const follow = (id: string, prompt: number[], priority: number) =>
    textOf(engine.submit(makeRequest({ id, prompt, priority, maxTokens: 1 }))).then(() =>
      order.push(id),
    )
  const all = [follow('maker', [...shared, 1], 0)]
  const step = await runner.next()
  all.push(follow('patient', [...shared, 2, ...makePrompt(130)], 5))
  for (let i = 0; i < 3; i++) all.push(follow(`other ${i}`, makePrompt(70, i + 1), 0))
  all.push(follow('urgent', [...shared, 2, ...makePrompt(130), 3], -5))
  step.finish()
  runner.release()
  await Promise.all(all)
  expect(order.slice(0, 2)).toEqual(['maker', 'urgent'])
  expect(order.at(-1)).toBe('patient')
})

test.each([
  [{ logprobs: 21 }, 'logprobs: expected a whole number from 0 to 20, found 21'],
  [{ promptLogprobs: -1 }, 'prompt_logprobs: expected a whole number from 0 to 20, found -1'],
  [{ cacheBreakpoints: [2, 0] }, 'cache breakpoint 0: positions are 1 to 3'],
  [{ cacheBreakpoints: [4] }, 'cache breakpoint 4: positions are 1 to 3'],
])('%p is refused', async (more, message) => {
  const { engine } = await openFakeEngine()
  const request = makeRequest({ prompt: [3, 4, 5], ...more })
  expect(() => engine.submit(request)).toThrow(message)
})
