// What the bench makes of streams: figures, and what it reads off the wire.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { latencies, type Mark, readStreams, streamFigures } from './streams.ts'

/** Figures of streams by their marks. */
const figuresOf = (...streams: Mark[][]) => streamFigures(streams.map((marks) => ({ marks })))

/** A stream with so many tokens, one every `ms` from `start` on. */
function steady(start: number, ms: number, tokens: number): Mark[] {
  return Array.from({ length: tokens }, (_, i) => ({ at: start + i * ms, tokens: i + 1 }))
}

describe('figures', () => {
  test('of one stream are those of its whole length', () => {
    const figures = figuresOf(steady(7, 10, 101))
    expect(figures.tokenMs).toBeCloseTo(10, 9)
    expect(figures.tokensPerSecond).toBeCloseTo(100, 9)
  })

  test('of several are those of the time in which all run', () => {
    // The second one begins when the first has had ten tokens alone, twice as fast.
    const alone = steady(0, 5, 10)
    const beside = steady(50, 10, 51).map(({ at, tokens }) => ({ at, tokens: tokens + 10 }))
    const figures = figuresOf([...alone, ...beside], steady(50, 10, 51))
    expect(figures.tokenMs).toBeCloseTo(10, 9)
    expect(figures.tokensPerSecond).toBeCloseTo(200, 9)
  })

  test('do not depend on which tokens have a text', () => {
    const all = steady(0, 10, 101)
    const some = all.filter(({ tokens }) => tokens === 34 || tokens % 40 === 0 || tokens === 101)
    const figures = figuresOf(all, some)
    expect(figures.tokenMs).toBeCloseTo(10, 9)
    expect(figures.tokensPerSecond).toBeCloseTo(200, 9)
  })

  test('need streams that run together', () => {
    const message = 'the streams did not run together: have all ids of the vocabulary a text?'
    expect(() => figuresOf(steady(0, 10, 11), steady(200, 10, 11))).toThrow(message)
    expect(() => figuresOf(steady(0, 10, 11), [{ at: 100, tokens: 11 }])).toThrow(message)
  })
})

test('latencies are those of requests and of tokens', () => {
  const late = [
    { at: 50, tokens: 1 },
    { at: 90, tokens: 3 },
  ]
  const { ttftMs, itlMs } = latencies([
    { sent: 10, marks: steady(20, 10, 100) },
    { sent: 20, marks: late },
  ])
  expect(ttftMs.p50).toBe(20)
  expect(ttftMs.p90).toBeCloseTo(28, 9)
  expect(itlMs.p50).toBe(10)
  // Two tokens in 40 ms, the only ones that came more slowly than 10 ms.
  expect(itlMs.p99).toBeGreaterThanOrEqual(10)
  expect(itlMs.p99).toBeLessThanOrEqual(20)
})

describe('reading', () => {
  let server: ReturnType<typeof Bun.serve>
  beforeAll(() => {
    const chunk = (tokens: number) =>
      `data: ${JSON.stringify({ usage: { completion_tokens: tokens } })}\n\n`
    const replies: Record<string, () => Response> = {
      // Tokens 2 to 4 have no text, and the last chunk repeats the count.
      '/gaps/v1/completions': () =>
        new Response(`: ok\n\n${chunk(1)}${chunk(5)}${chunk(6)}${chunk(6)}data: [DONE]\n\n`),
      '/short/v1/completions': () => new Response(`${chunk(1)}data: [DONE]\n\n`),
      '/broken/v1/completions': () =>
        new Response(`${chunk(1)}data: {"error":{"message":"out of luck"}}\n\n`),
      '/busy/v1/completions': () => new Response('later', { status: 429 }),
    }
    server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => replies[new URL(request.url).pathname](),
    })
  })
  afterAll(() => server.stop(true))

  const read = (what: string) => readStreams(`${server.url.origin}/${what}`, 2, 6)

  test('each chunk with new tokens leaves a mark', async () => {
    const streams = await read('gaps')
    for (const { sent, marks } of streams) expect(sent).toBeLessThan(marks[0].at)
    expect(streams.map(({ marks }) => marks.map(({ tokens }) => tokens))).toEqual([
      [1, 5, 6],
      [1, 5, 6],
    ])
  })

  test.each([
    ['short', 'a stream ended after 1 of 6 tokens'],
    ['broken', 'out of luck'],
    ['busy', 'status 429: later'],
  ])('a %s reply is an error', async (what, message) => {
    await expect(read(what)).rejects.toThrow(message)
  })
})
