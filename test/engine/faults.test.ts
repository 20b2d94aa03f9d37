// What the engine does when a step or a request goes wrong, with a runner that is told what to do.
import { describe, expect, test } from 'bun:test'
import { GlazeEngine } from '../../src/engine/engine.ts'
import type { Generation } from '../../src/engine/request.ts'
import type { Runner } from '../../src/engine/runner.ts'
import type { Segment } from '../../src/gpu/step.ts'

const VOCAB = 8
const tokenizer = {
  bytes: (id: number) => Uint8Array.of(97 + id),
  isSpecial: () => false,
  stripsLeadingSpace: false,
}

/** An engine whose logits come from `answer`: one row for each wanted row of a step. */
function engineOf(
  answer: (segments: readonly Segment[]) => number[][],
  options: { maxLength?: number; onError?: (message: string) => void } = {},
) {
  const runner = {
    decoder: { slots: 2, vocabSize: VOCAB } as Runner['decoder'],
    async run<T>(segments: readonly Segment[], _: readonly number[], use: (x: Float32Array) => T) {
      await Promise.resolve()
      return use(Float32Array.from(answer(segments).flat()))
    },
  }
  return new GlazeEngine(runner, {
    tokenizer,
    eosTokenIds: [2],
    maxLength: options.maxLength,
    promptTokens: 64,
    scoredTokens: 64,
    onError: options.onError,
  })
}

const row = (best: number): number[] =>
  Array.from({ length: VOCAB }, (_, id) => (id === best ? 1 : 0))
const rows = (segments: readonly Segment[], best: number) =>
  segments.filter((segment) => segment.logits !== 'none').map(() => row(best))

const request = (more = {}) => ({
  id: 'r',
  prompt: [1],
  maxTokens: 3,
  sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined },
  stop: [],
  ...more,
})

async function text(generation: Generation): Promise<string> {
  let all = ''
  for await (const output of generation) all += output.text
  return all
}

describe('faults', () => {
  test('a failed step fails its requests with status 503 and stops the engine', async () => {
    const messages: string[] = []
    const engine = engineOf(
      () => {
        throw new Error('device lost')
      },
      { onError: (message) => messages.push(message) },
    )
    const generations = [
      engine.submit(request()),
      engine.submit(request()),
      engine.submit(request()),
    ]
    for (const generation of generations) {
      expect(text(generation)).rejects.toMatchObject({ status: 503, code: 'engine_fault' })
    }
    await engine.close()
    expect(engine.stats()).toMatchObject({ fault: 'device lost', freeSlots: 2, waiting: 0 })
    expect(() => engine.submit(request())).toThrow('the engine stopped: device lost')
    expect(messages).toEqual(['step failed'])
  })

  test('logits that are no numbers fail one request and spare its neighbour', async () => {
    const engine = engineOf((segments) =>
      segments.map((segment) => (segment.slot === 0 ? row(3).fill(Number.NaN) : row(3))),
    )
    const broken = text(engine.submit(request()))
    const fine = text(engine.submit(request()))
    expect(broken).rejects.toMatchObject({ status: 500 })
    expect(await fine).toBe('ddd')
    expect(engine.stats()).toMatchObject({ freeSlots: 2, fault: undefined })
  })
  test('a closed engine takes no more', async () => {
    const engine = engineOf((segments) => rows(segments, 3))
    const running = text(engine.submit(request({ maxTokens: 1000 })))
    await engine.close()
    expect(await running).toBe('')
    expect(() => engine.submit(request())).toThrow('it is shutting down')
  })
})

describe('ends', () => {
  test('an iterator that is given up before its first round frees the slot', async () => {
    const engine = engineOf((segments) => rows(segments, 3))
    const iterator = engine.submit(request({ maxTokens: 1000 }))[Symbol.asyncIterator]()
    await iterator.return!()
    expect(engine.stats()).toMatchObject({ freeSlots: 2, waiting: 0, running: 0 })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('an end-of-sequence token ends the text, unless it is to be ignored', async () => {
    const engine = engineOf((segments) => rows(segments, 2))
    expect(await text(engine.submit(request()))).toBe('')
    expect(await text(engine.submit(request({ ignoreEos: true })))).toBe('ccc')
  })

  test('max_tokens 0 scores the prompt and generates nothing', async () => {
    const engine = engineOf((segments) => segments[0].tokens.map(() => row(1)))
    const outputs = []
    for await (const output of engine.submit(
      request({ prompt: [1, 1, 4], maxTokens: 0, promptLogprobs: 1 }),
    )) {
      outputs.push(output)
    }
    expect(outputs).toHaveLength(1)
    const norm = Math.log(Math.E + VOCAB - 1)
    expect(outputs[0]).toMatchObject({ text: '', tokens: [], finish: { reason: 'length' } })
    expect(outputs[0].promptLogprobs!.map((each) => each?.id)).toEqual([undefined, 1, 4])
    expect(outputs[0].promptLogprobs![1]!.logprob).toBeCloseTo(1 - norm, 6)
    expect(outputs[0].promptLogprobs![2]!.logprob).toBeCloseTo(-norm, 6)
    expect(outputs[0].promptLogprobs![2]!.top.map((each) => each.id)).toEqual([1])
  })

  test('a bounded model cuts completions and refuses prompts that leave no room', async () => {
    const engine = engineOf((segments) => rows(segments, 3), { maxLength: 4 })
    expect(await text(engine.submit(request({ prompt: [1, 1], maxTokens: 100 })))).toBe('dd')
    expect(() => engine.submit(request({ prompt: [1, 1, 1, 1] }))).toThrow(
      'prompt has 4 tokens; the model takes 4 with the completion',
    )
  })

  test('an abort between steps ends the iteration without a finish', async () => {
    const engine = engineOf((segments) => rows(segments, 3))
    const generation = engine.submit(request({ maxTokens: 1000 }))
    let outputs = 0
    for await (const output of generation) {
      expect(output.finish).toBeUndefined()
      if (++outputs === 5) generation.abort()
    }
    expect(outputs).toBe(5)
    expect(engine.stats().freeSlots).toBe(2)
  })
})
