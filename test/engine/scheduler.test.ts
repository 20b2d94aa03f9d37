// What the scheduler puts into steps: slices, decode rows, who goes first, copies.
import { describe, expect, test } from 'bun:test'
import { type Admission, Scheduler, type Share } from '../../src/engine/scheduler.ts'
import type { Sequence } from '../../src/engine/sequence.ts'
import { StatePool } from '../../src/engine/state-pool.ts'
import { endSequence, makeSequence, type SequenceShape } from '../helpers/sequences.ts'

function makeScheduler(slots: number, promptTokens = 128, scoredTokens = 64): Scheduler {
  return new Scheduler(new StatePool(slots), { promptTokens, scoredTokens })
}

/** Adds sequences of these shapes, which are then known by their place in the list. */
function add(queue: Scheduler, shapes: readonly SequenceShape[]): Sequence[] {
  const sequences = shapes.map((shape, i) => makeSequence({ id: String(i), ...shape }))
  for (const each of sequences) queue.add(each)
  return sequences
}

const ids = (shares: readonly Share[]) => shares.map(({ sequence }) => sequence.request.id)

/** Steps in short: `id:tokens` for slices, `id+` for decode rows, `id<parent` for copies. */
function notes(shares: readonly Share[]): string {
  const note = ({ sequence, count, decode, copyOf }: Share) =>
    `${sequence.request.id}${decode ? '+' : copyOf ? `<${copyOf.sequence.request.id}` : `:${count}`}`
  return shares.map(note).join(' ')
}

describe('slices', () => {
  test.each<[string, SequenceShape, number[], number, number[]]>([
    ['end at multiples of 64', { length: 300 }, [], 128, [128, 256, 300]],
    ['end below an odd budget', { length: 300 }, [], 100, [64, 128, 192, 256, 300]],
    ['take a prompt that fits whole', { length: 127 }, [], 128, [127]],
    [
      'end at cuts, then at multiples again',
      { length: 300 },
      [100, 130],
      128,
      [100, 130, 256, 300],
    ],
    ['end where the budget and a cut meet', { length: 300 }, [128], 128, [128, 256, 300]],
    ['keep to the budget of logits', { length: 150, promptLogprobs: 0 }, [], 128, [64, 128, 150]],
  ])('%s', (_, shape, cuts, promptTokens, ends) => {
    const queue = makeScheduler(1, promptTokens)
    const [sequence] = add(queue, [shape])
    for (const cut of cuts) sequence.addCut(cut)
    const seen: number[] = []
    while (sequence.prefilling) {
      const [share] = queue.next()
      expect(share.position).toBe(seen.at(-1) ?? 0)
      seen.push(share.position + share.count)
    }
    expect(seen).toEqual(ends)
  })

  test('a cut counts only once, inside the prompt and ahead of what was submitted', () => {
    const queue = makeScheduler(1)
    const [sequence] = add(queue, [{ length: 300 }])
    queue.next()
    for (const cut of [200, 128, 20, 180, 200, 300, 400]) sequence.addCut(cut)
    expect(sequence.cuts).toEqual([180, 200])
    expect([queue.next(), queue.next(), queue.next()].map(notes)).toEqual(['0:52', '0:20', '0:100'])
  })
})

describe('steps', () => {
  test('hold a token of all that decode, and prompts up to the budget', () => {
    const queue = makeScheduler(4)
    add(queue, [{ length: 70 }, { length: 300 }])
    // After 70 tokens 58 are left, which is less than a slice of the long prompt.
    const expected = ['0:70', '0+ 1:128', '0+ 1:128', '0+ 1:44', '0+ 1+', '0+ 1+']
    expect(expected.map(() => notes(queue.next()))).toEqual(expected)
  })

  test('are booked ahead of their results, up to the last token that may be drawn', () => {
    const queue = makeScheduler(1)
    const [sequence] = add(queue, [{ length: 5, maxTokens: 3 }])
    const booked = [0, 1, 2, 3].map(() => {
      const step = notes(queue.next())
      return `${step} to ${sequence.position}, ${sequence.sampled} drawn`
    })
    expect(booked).toEqual([
      '0:5 to 5, 1 drawn',
      '0+ to 6, 2 drawn',
      '0+ to 7, 3 drawn',
      ' to 7, 3 drawn',
    ])
    expect(queue.running).toBe(1)
  })

  test('hold nothing of a prompt that is only scored, once it is done', () => {
    const queue = makeScheduler(1)
    const [sequence] = add(queue, [{ length: 5, maxTokens: 0 }])
    expect([queue.next(), queue.next()].map(notes)).toEqual(['0:5', ''])
    expect(sequence.sampled).toBe(0)
  })

  test('leave out who is held, however often, until it is released', () => {
    const queue = makeScheduler(2)
    const [held] = add(queue, [{ length: 1 }, { length: 1 }])
    queue.next()
    held.held = 2
    expect(notes(queue.next())).toBe('1+')
    held.held = 1
    expect(notes(queue.next())).toBe('1+')
    held.held = 0
    expect(notes(queue.next())).toBe('0+ 1+')
  })

  test('use what is too little for a running prompt for a shorter one behind it', () => {
    const queue = makeScheduler(4, 192)
    const [first] = add(queue, [{ length: 500 }, { length: 300 }, { length: 30 }])
    first.addCut(100)
    // Up to 256 the first one leaves 36 tokens, with which the second cannot reach 128.
    expect([queue.next(), queue.next()].map(notes)).toEqual(['0:100 1:64', '0:156 2:30'])
  })

  test('hold slices of other prompts where the budget of logits is spent', () => {
    const queue = makeScheduler(3, 256, 64)
    const [first] = add(queue, [{ length: 200, promptLogprobs: 0 }, { length: 100 }])
    first.addCut(30)
    add(queue, [{ id: 'scored', length: 34, promptLogprobs: 0 }])
    expect(notes(queue.next())).toBe('0:30 1:100 scored:34')
    expect(notes(queue.next())).toBe('1+ scored+ 0:34')
  })
})

describe('order', () => {
  test('by priority, equal ones by arrival, whether they wait or run', () => {
    const queue = makeScheduler(4, 128)
    add(
      queue,
      [5, 0, 5, 0].map((priority) => ({ length: 192, priority })),
    )
    const steps = Array.from({ length: 7 }, () => notes(queue.next()))
    expect(steps).toEqual([
      '1:128',
      // Who waits gets what those that run leave over.
      '1:64 3:64',
      '1+ 3:128',
      '1+ 3+ 0:128',
      '1+ 3+ 0:64 2:64',
      '1+ 3+ 0+ 2:128',
      '1+ 3+ 0+ 2+',
    ])
  })

  test('who waits in front is not passed by a shorter one that would fit', () => {
    const queue = makeScheduler(3)
    add(queue, [{ length: 100 }, { length: 100 }, { length: 5 }])
    expect(notes(queue.next())).toBe('0:100')
    expect(notes(queue.next())).toBe('0+ 1:100 2:5')
  })

  test.each([
    ['one slot is free at a time', 1],
    ['many slots are free at once', 32],
  ])('one of eight admissions goes to the oldest: %s', (_, slots) => {
    const queue = makeScheduler(slots, 128)
    add(queue, [
      ...Array.from({ length: 4 }, () => ({ length: 1, priority: 9 })),
      ...Array.from({ length: 40 }, () => ({ length: 1, priority: 0 })),
    ])
    const admitted: string[] = []
    while (admitted.length < 32) {
      const shares = queue.next()
      admitted.push(...ids(shares))
      for (const { sequence } of shares) endSequence(queue, sequence)
    }
    expect(admitted.indexOf('4')).toBe(0)
    expect(['0', '1', '2', '3'].map((id) => admitted.indexOf(id))).toEqual([7, 15, 23, 31])
  })

  test('the rule of eight starts anew with each admission of the oldest', () => {
    const queue = makeScheduler(1)
    const [old] = add(queue, [{ length: 1, priority: 1 }])
    let arrivals = 0
    const admitNext = () => {
      // One at a time, so that the flood never ends.
      queue.add(makeSequence({ id: `urgent ${arrivals++}`, length: 1 }))
      const [{ sequence }] = queue.next()
      endSequence(queue, sequence)
      return sequence
    }
    const first = Array.from({ length: 8 }, admitNext)
    expect(first.indexOf(old)).toBe(7)
    const late = makeSequence({ id: 'late', length: 1, priority: 1 })
    queue.add(late)
    // One urgent request was left over; it is the oldest and first anyway.
    const then = Array.from({ length: 9 }, admitNext)
    expect(then.indexOf(late)).toBe(8)
  })
})

describe('admission', () => {
  test('who is refused waits, the others pass, and it comes first once it is ready', () => {
    const queue = makeScheduler(2)
    const [refused] = add(queue, [{ length: 5 }, { length: 5 }, { length: 5 }])
    let isReady = false
    const started: Sequence[] = []
    const admission: Admission = {
      ready: (sequence) => isReady || sequence !== refused,
      isComplete: () => false,
      start: (sequence) => started.push(sequence),
    }
    expect(ids(queue.next(admission))).toEqual(['1', '2'])
    isReady = true
    expect(notes(queue.next(admission))).toBe('1+ 2+')
    endSequence(queue, started[0])
    expect(notes(queue.next(admission))).toBe('2+ 0:5')
    expect(started.map(({ request, slot }) => [request.id, slot])).toEqual([
      ['1', undefined],
      ['2', 1],
      ['0', 0],
    ])
  })

  test('a prompt goes on behind tokens whose state is there', () => {
    const queue = makeScheduler(2)
    add(queue, [{ length: 300 }])
    const start = (sequence: Sequence) => {
      sequence.position = 130
    }
    const steps = [0, 1, 2].map(() =>
      queue.next({ ready: () => true, isComplete: () => false, start }),
    )
    expect(steps[0]).toMatchObject([{ position: 130, count: 126 }])
    expect(steps.map(notes)).toEqual(['0:126', '0:44', '0+'])
  })

  test('a prompt whose whole state is there does not wait for the budget', () => {
    const queue = makeScheduler(3)
    const [, complete] = add(queue, [{ length: 1000 }, { length: 200 }, { length: 10 }])
    const admission: Admission = {
      ready: () => true,
      isComplete: (sequence) => sequence === complete,
      start: (sequence) => {
        if (sequence === complete) sequence.position = 200
      },
    }
    const shares = queue.next(admission)
    expect(notes(shares)).toBe('0:128 1:0')
  })

  test('an urgent prompt goes before running ones of lower priority', () => {
    const queue = makeScheduler(2)
    add(queue, [{ length: 1000 }])
    expect(notes(queue.next())).toBe('0:128')
    const urgent = makeSequence({ id: 'urgent', length: 70, priority: -1 })
    queue.add(urgent)
    expect(notes(queue.next())).toBe('urgent:70')
    expect(notes(queue.next())).toBe('urgent+ 0:128')
  })

  test('a prompt whose whole state is there only draws a token', () => {
    const queue = makeScheduler(2)
    const [sequence] = add(queue, [{ length: 200 }, { length: 128 }])
    const start = (started: Sequence) => {
      if (started === sequence) started.position = 200
    }
    const shares = queue.next({ ready: () => true, isComplete: () => false, start })
    expect(shares[0]).toMatchObject({ sequence, slot: 0, position: 200, count: 0, decode: false })
    // It took nothing of the budget.
    expect(notes(shares)).toBe('0:0 1:128')
    expect(sequence.sampled).toBe(1)
    expect(queue.next()[0]).toMatchObject({ sequence, position: 200, count: 1, decode: true })
  })
})

describe('copies', () => {
  /** Adds a prompt and samples of it. */
  function addSamples(queue: Scheduler, length: number, samples: number): Sequence {
    const parent = makeSequence({ id: 'parent', length })
    queue.add(parent)
    for (let i = 0; i < samples; i++) {
      queue.add(makeSequence({ id: `copy ${i}`, length, parent }))
    }
    return parent
  }

  test('start with the last slice of their prompt, and let others pass until then', () => {
    const queue = makeScheduler(4, 192)
    const parent = addSamples(queue, 200, 2)
    queue.add(makeSequence({ id: 'other', length: 5 }))
    expect(notes(queue.next())).toBe('parent:192')
    const shares = queue.next()
    expect(notes(shares)).toBe('parent:8 copy 0<parent copy 1<parent other:5')
    const copy = shares[1]
    expect(copy).toMatchObject({ slot: 1, position: 200, count: 0, decode: false })
    expect(copy.copyOf).toBe(shares[0])
    expect(shares.slice(0, 3).map(({ sequence }) => sequence.sampled)).toEqual([1, 1, 1])
    expect(notes(queue.next())).toBe('parent+ copy 0+ copy 1+ other+')
    expect(parent.position).toBe(201)
  })

  test('are no obstacle to shorter prompts behind them while they wait', () => {
    const queue = makeScheduler(4, 192)
    const parent = addSamples(queue, 500, 1)
    parent.addCut(150)
    queue.add(makeSequence({ id: 'other', length: 5 }))
    // 42 tokens are left, less than a slice of the copy's prompt.
    expect(notes(queue.next())).toBe('parent:150 other:5')
  })

  test('start as far as slots are free; the rest compute the prompt when they get one', () => {
    const queue = makeScheduler(2)
    const parent = addSamples(queue, 5, 2)
    expect(notes(queue.next())).toBe('parent:5 copy 0<parent')
    expect(notes(queue.next())).toBe('parent+ copy 0+')
    endSequence(queue, parent)
    expect(notes(queue.next())).toBe('copy 0+ copy 1:5')
  })

  test('go alone if their prompt will not be finished', () => {
    const queue = makeScheduler(2)
    const parent = addSamples(queue, 200, 1)
    expect(notes(queue.next())).toBe('parent:128')
    endSequence(queue, parent)
    expect(notes(queue.next())).toBe('copy 0:128')
  })

  test('wait even where they are more urgent than their prompt', () => {
    const queue = makeScheduler(1)
    const parent = makeSequence({ id: 'parent', length: 5, priority: 1 })
    queue.add(parent)
    queue.add(makeSequence({ id: 'copy', length: 5, parent }))
    expect(notes(queue.next())).toBe('parent:5')
  })
})

describe('coming and going', () => {
  test('a sequence that runs from where another is takes a slot, if there is one', () => {
    const queue = makeScheduler(2)
    const [parent] = add(queue, [{ length: 5 }])
    queue.next()
    const [child, late] = [makeSequence({ id: 'child', length: 5 }), makeSequence({ length: 5 })]
    expect(queue.adopt(child)).toBeTrue()
    parent.generated.push(7)
    child.continueFrom(parent)
    expect(child).toMatchObject({ position: 5, sampled: 1, inherited: 1, maxTokens: 11 })
    expect(queue.adopt(late)).toBeFalse()
    expect(late.slot).toBeUndefined()
    expect(notes(queue.next())).toBe('0+ child+')
    expect([queue.running, queue.waiting, queue.pool.free]).toEqual([2, 0, 0])
  })

  test('removing frees the slot at once and only once, wherever the sequence is', () => {
    const queue = makeScheduler(2)
    const all = add(queue, [{ length: 3 }, { length: 500 }, { length: 3 }])
    queue.next()
    queue.next()
    expect(notes(queue.next())).toBe('0+ 1:128')
    for (const each of all) {
      queue.remove(each)
      queue.remove(each)
    }
    expect([queue.pool.free, queue.running, queue.waiting]).toEqual([2, 0, 0])
    expect(queue.next()).toEqual([])
  })

  test('sequences are listed running ones first, then by arrival', () => {
    const queue = makeScheduler(1)
    add(queue, [{ length: 3, priority: 1 }, { length: 3 }, { length: 3 }])
    queue.next()
    expect(queue.sequences.map(({ request }) => request.id)).toEqual(['1', '0', '2'])
  })
})
