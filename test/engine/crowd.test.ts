// Any crowd of requests with common prefixes, samples, forks and aborts: everyone gets the tokens and
// scores that it gets alone, and everything is given back.
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Generation, GenerationRequest, Output } from '../../src/engine/request.ts'
import {
  EOS,
  makePrompt,
  makeRequest,
  openFakeEngine,
  textOf,
  VOCAB,
} from '../helpers/fake-runner.ts'
import { alternate, fakeGuides, oneOf } from '../helpers/guides.ts'

const RUNS = oneOf([[3, 8, 5], [3, 8], [9], [1, 1, 1, 1, 1, 1, 1, 1, 1]], [EOS])
const BANNED = [[4], [0, 1], [7, 7, 7], [3, 8]]

const request = fc.record({
  /** Prompts of one family begin alike, and there are few tails. */
  family: fc.nat(1),
  shared: fc.constantFrom(0, 1, 63, 64, 65, 128, 190, 300),
  tail: fc.nat(1),
  tailLength: fc.constantFrom(1, 30, 64, 90),
  /** It has the prompt of the request before it in the list. */
  repeats: fc.boolean(),
  maxTokens: fc.constantFrom(0, 0, 1, 3, 8),
  priority: fc.nat(2),
  temperature: fc.constantFrom(0, 1),
  promptLogprobs: fc.constantFrom(undefined, undefined, undefined, 2),
  logprobs: fc.constantFrom(undefined, 1),
  breakpoint: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  cacheSalt: fc.constantFrom('', '', 'salt'),
  samples: fc.constantFrom(1, 1, 1, 2, 4),
  rule: fc.constantFrom(undefined, undefined, undefined, alternate(VOCAB), RUNS),
  minTokens: fc.constantFrom(0, 0, 2, 5),
  bannedSequences: fc.constantFrom([], [], BANNED),
  /** Outputs after which the reader gives up. */
  abortAfter: fc.constantFrom(undefined, undefined, undefined, 0, 1, 3),
  /** Steps that were made when it comes. */
  arrival: fc.nat(20),
})

const scenario = fc.record({
  slots: fc.integer({ min: 1, max: 5 }),
  snapshots: fc.nat(5),
  promptTokens: fc.constantFrom(64, 100, 192),
  stepsInFlight: fc.integer({ min: 1, max: 3 }),
  requests: fc.array(request, { minLength: 1, maxLength: 14 }),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never

type Shape = Scenario['requests'][number]

const promptOf = ({ family, shared, tail, tailLength }: Shape) => [
  ...makePrompt(shared, family),
  ...makePrompt(tailLength, 3 + tail),
]

function toRequest(shape: Shape, prompt: number[], seed: number) {
  const { breakpoint, temperature, bannedSequences, rule, ...rest } = shape
  const { maxTokens, minTokens, priority, promptLogprobs, logprobs, cacheSalt } = rest
  const guides = rule && fakeGuides({ vocabSize: VOCAB, rule })
  const request = makeRequest({
    ...{ id: String(seed), prompt, maxTokens, priority, promptLogprobs, logprobs, cacheSalt },
    cacheBreakpoints: breakpoint && breakpoint <= prompt.length ? [breakpoint] : undefined,
    sampling: { ...makeRequest().sampling, temperature, seed, bannedSequences },
    guide: guides?.make,
    minTokens,
  })
  return { request, guides }
}

/** What a request must not get. */
function check({ rule, minTokens, bannedSequences }: Shape, outputs: readonly Output[]): void {
  const ids = outputs.flatMap(({ tokens }) => tokens.map(({ id }) => id))
  for (const run of bannedSequences) expect(`,${ids},`).not.toContain(`,${run},`)
  for (const [i, id] of ids.entries()) {
    const allowed = rule?.(ids.slice(0, i))
    if (allowed) expect(allowed).toContain(id)
    // Only where the grammar leaves nothing else.
    if (id === EOS && i < minTokens) expect(allowed).toEqual([EOS])
  }
}

async function read(generation: Generation, most: number | undefined): Promise<Output[]> {
  const outputs: Output[] = []
  if (most === 0) generation.abort()
  try {
    for await (const output of generation) {
      outputs.push(output)
      if (outputs.length === most) break
    }
  } catch (error) {
    // Its bans and its grammar may leave nothing.
    if (!String(error).includes('no token is allowed')) throw error
  }
  return outputs
}

/** What must not depend on the company; use of the cache does. */
/** What a client gets, without what depends on who else is there. */
const answer = (outputs: readonly Output[]) => outputs.map(({ cache, queuedMs, ...rest }) => rest)

async function alone(single: GenerationRequest, most: number | undefined): Promise<Output[]> {
  const { engine } = await openFakeEngine({ slots: 1, scoredTokens: 64 })
  return read(engine.submit(single), most)
}

async function play({ requests, ...options }: Scenario): Promise<void> {
  const errors: unknown[] = []
  const { engine, runner } = await openFakeEngine({
    ...options,
    held: true,
    onError: (_, error) => errors.push(error),
  })
  const left = requests.map((shape, i) => {
    const prompt = promptOf(shape.repeats && i > 0 ? requests[i - 1] : shape)
    return { shape, prompt, seed: 10 * i }
  })
  const answers: { shape: Shape; own: GenerationRequest; got: Promise<Output[]> }[] = []
  const made: (readonly { disposals: number }[])[] = []
  const submit = ({ shape, prompt, seed }: (typeof left)[number]) => {
    let sampleOf: Generation | undefined
    for (let i = 0; i < shape.samples; i++) {
      const { request: own, guides } = toRequest(shape, prompt, seed)
      if (guides) made.push(guides.made)
      own.sampling.seed = seed + i
      if (i > 0) own.promptLogprobs = undefined
      const generation = engine.submit({ ...own, sampleOf })
      sampleOf ??= generation
      answers.push({ shape, own, got: read(generation, shape.abortAfter) })
    }
  }
  for (let step = 0; left.length > 0; step++) {
    for (const each of left.filter(({ shape }) => shape.arrival <= step)) {
      submit(each)
      left.splice(left.indexOf(each), 1)
    }
    await new Promise((resolve) => setImmediate(resolve))
    const { running, waiting } = engine.stats()
    if (running + waiting > 0) (await runner.next()).finish()
  }
  runner.release()
  const got = await Promise.all(answers.map((each) => each.got))
  for (const [i, { own, shape }] of answers.entries()) {
    expect(answer(got[i])).toEqual(answer(await alone(own, shape.abortAfter)))
    check(shape, got[i])
  }
  await engine.close()
  expect(errors).toEqual([])
  expect(engine.stats()).toMatchObject({ freeSlots: options.slots, running: 0, waiting: 0 })
  // One for the crowd and one alone.
  for (const pair of made) expect(pair.map(({ disposals }) => disposals)).toEqual([1, 1])
}

test('everyone gets what it gets alone', async () => {
  await fc.assert(fc.asyncProperty(scenario, play), { numRuns: 150, seed: 1 })
}, 60_000)

test('two that come with the same new prefix compute it once', async () => {
  const { engine, runner } = await openFakeEngine({ slots: 2, snapshots: 4, held: true })
  const common = makePrompt(128)
  const [first, second] = [1, 2].map((tail) =>
    makeRequest({ prompt: [...common, ...makePrompt(60, tail)], maxTokens: 9, ignoreEos: true }),
  )
  const readers = [first, second].map((each) => read(engine.submit(each), undefined))
  // The second one starts behind the prefix as soon as that is on its way.
  const positions: number[][] = []
  for (let i = 0; i < 4; i++) {
    const step = await runner.next()
    positions.push(step.work.segments.map(({ position }) => position))
    step.finish()
  }
  expect(positions).toEqual([[0], [64], [128], [188, 128]])
  runner.release()
  for (const [i, each] of [first, second].entries()) {
    const outputs = await readers[i]
    expect(answer(outputs)).toEqual(answer(await alone(each, undefined)))
    expect(outputs.at(-1)!.cache!.read).toBe(128 * i)
  }
})

test('forks of forks, taken anywhere, say what their original says', async () => {
  const { engine, runner } = await openFakeEngine({ slots: 6, snapshots: 2 })
  const endless = makeRequest({ prompt: makePrompt(130), maxTokens: 60, ignoreEos: true })
  const whole = await textOf(engine.submit({ ...endless, maxTokens: 200 }))
  const texts: Promise<string>[] = []
  const readAndFork = async (generation: Generation, generations: number): Promise<string> => {
    let text = ''
    for await (const output of generation) {
      text += output.text
      // Far from the end, which might come before the fork.
      const isDue = text.length % 9 === 4 && text.length < 50
      if (isDue && generations > 0 && engine.stats().freeSlots > 1) {
        texts.push(readAndFork(engine.fork(generation, endless), generations - 1))
      }
    }
    return text
  }
  const first = engine.submit({ ...endless, maxTokens: 100 })
  expect(await readAndFork(first, 2)).toBe(whole.slice(0, 100))
  for (let i = 0; i < texts.length; i++) expect(whole).toContain(await texts[i])
  expect(texts.length).toBeGreaterThan(4)
  await engine.close()
  expect(engine.stats()).toMatchObject({ forks: texts.length, freeSlots: 6 })
  expect(runner.steps).toBeGreaterThan(100)
})
