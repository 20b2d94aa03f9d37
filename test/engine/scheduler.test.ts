import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { GenerationStream } from '../../src/engine/generation.ts'
import { Scheduler } from '../../src/engine/scheduler.ts'
import { Sequence } from '../../src/engine/sequence.ts'
import { StatePool } from '../../src/engine/state-pool.ts'
import { OutputText } from '../../src/text/output-text.ts'

const noTokens = {
  bytes: () => new Uint8Array(),
  isSpecial: () => false,
  stripsLeadingSpace: false,
}

function sequence(length: number, promptLogprobs?: number): Sequence {
  const prompt = new Array<number>(length).fill(1)
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  const request = { id: 's', prompt, maxTokens: 10, sampling, stop: [], promptLogprobs }
  const text = new OutputText(noTokens, prompt, [])
  return new Sequence(request, 0n, 10, text, new GenerationStream('s', length, () => {}))
}

function scheduler(slots: number, promptTokens = 128, scoredTokens = 64): Scheduler {
  return new Scheduler(new StatePool(slots), { promptTokens, scoredTokens })
}

/** What a step does to its sequences; a token is generated once the prompt is done. */
function complete(shares: ReturnType<Scheduler['next']>): void {
  for (const { sequence, count } of shares) {
    sequence.position += count
    if (!sequence.prefilling) sequence.generated.push(1)
  }
}

describe('scheduler', () => {
  test('prompts are cut at multiples of 64 and go on beside decode rows', () => {
    const queue = scheduler(4)
    const [short, long] = [sequence(70), sequence(300)]
    queue.add(short)
    queue.add(long)
    const seen: string[][] = []
    for (let step = 0; step < 5; step++) {
      const shares = queue.next()
      seen.push(
        shares.map((share) => {
          const name = share.sequence === short ? 'short' : 'long'
          return `${name} ${share.decode ? 'decode' : share.count}${share.fresh ? ' fresh' : ''}`
        }),
      )
      complete(shares)
    }
    expect(seen).toEqual([
      // 58 tokens are left of the budget: less than a chunk, so the long prompt waits.
      ['short 70 fresh'],
      ['short decode', 'long 128 fresh'],
      ['short decode', 'long 128'],
      ['short decode', 'long 44'],
      ['short decode', 'long decode'],
    ])
  })

  test('a sequence waits until a slot is free, in order of arrival', () => {
    const queue = scheduler(1)
    const [first, second] = [sequence(5), sequence(5)]
    queue.add(first)
    queue.add(second)
    complete(queue.next())
    expect(queue.next().map((share) => share.sequence)).toEqual([first])
    queue.remove(first)
    expect(queue.next()).toMatchObject([{ sequence: second, slot: 0, fresh: true }])
    expect([queue.running, queue.waiting]).toEqual([1, 0])
  })

  test('scored prompts keep to the budget of logits', () => {
    const queue = scheduler(2)
    const [scored, plain] = [sequence(200, 0), sequence(100)]
    queue.add(scored)
    queue.add(plain)
    const shares = queue.next()
    expect(shares.map(({ count }) => count)).toEqual([64, 64])
  })

  test('removing frees the slot at once, wherever the sequence is', () => {
    const queue = scheduler(2)
    const all = [sequence(500), sequence(3), sequence(3)]
    for (const each of all) queue.add(each)
    complete(queue.next())
    for (const each of all) queue.remove(each)
    expect([queue.pool.free, queue.running, queue.waiting]).toEqual([2, 0, 0])
    queue.remove(all[0])
    expect(queue.pool.free).toBe(2)
  })

  test('any mix of requests and aborts: budgets hold, all end, no slot is lost', () => {
    const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.boolean()), {
      minLength: 1,
      maxLength: 30,
    })
    const shape = fc.record({
      slots: fc.integer({ min: 1, max: 8 }),
      chunks: fc.integer({ min: 1, max: 6 }),
      lengths,
      outputs: fc.integer({ min: 1, max: 9 }),
      abortEvery: fc.integer({ min: 2, max: 9 }),
    })
    fc.assert(
      fc.property(shape, ({ slots, chunks, lengths, outputs, abortEvery }) => {
        const queue = scheduler(slots, chunks * 64, 64)
        const left = new Set(
          lengths.map(([length, scored]) => sequence(length, scored ? 0 : undefined)),
        )
        for (const each of left) queue.add(each)
        let step = 0
        while (left.size > 0) {
          const shares = queue.next()
          expect(shares.length).toBeGreaterThan(0)
          expect(new Set(shares.map((share) => share.slot)).size).toBe(shares.length)
          const prompts = shares.filter((share) => !share.decode)
          const sum = prompts.reduce((total, share) => total + share.count, 0)
          expect(sum).toBeLessThanOrEqual(chunks * 64)
          for (const { sequence, count } of prompts) {
            const end = sequence.position + count
            expect(end % 64 === 0 || end === sequence.request.prompt.length).toBeTrue()
          }
          // Whoever decodes is in every step.
          const decoding = shares.filter((share) => share.decode).length
          expect(decoding).toBe(
            [...left].filter((each) => each.slot !== undefined && each.generated.length > 0).length,
          )
          complete(shares)
          step++
          for (const each of left) {
            const aborted = step % abortEvery === 0 && each === [...left].at(-1)
            if (each.generated.length < outputs && !aborted) continue
            queue.remove(each)
            left.delete(each)
          }
        }
        expect(queue.pool.free).toBe(slots)
        expect(queue.next()).toEqual([])
      }),
      { numRuns: 200, seed: 1 },
    )
  })
})

test('a slot cannot be given back twice', () => {
  const pool = new StatePool(2)
  const slot = pool.take()!
  pool.giveBack(slot)
  expect(() => pool.giveBack(slot)).toThrow('slot 0 given back but not taken')
})
