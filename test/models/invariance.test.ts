// With invariant tuning a sequence gets the same bits whatever else is in its steps: its logits and
// its state follow from its tokens, its positions and its cuts.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { logitRowsOf, type Segment } from '../../src/gpu/step.ts'
import { bitsOf } from '../helpers/bits.ts'
import { openTestDecoder, type TestDecoder } from '../helpers/decoder.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { fixtures } from '../helpers/model.ts'
import { Random, rmsError } from '../helpers/numbers.ts'

const gpu = await openTestGpu()
const golden = await Bun.file(join(fixtures, 'golden.json')).json()
// GLA and GSA with convolutions, then without them beside softmax layers.
const names = ['gla_conv', 'gsa_conv_t2r', 'hybrid', 'hybrid_list']

const SLOTS = 64
const DECODES = 5
const VOCAB = 97

interface Sequence {
  tokens: readonly number[]
  /** Tokens that are fed as a prompt; the others are decode rows. */
  prompt: number
  /** Prompt positions where its slices end whoever runs it; the arithmetic depends on them. */
  cuts: readonly number[]
}

/** What must not depend on the company. */
interface Outcome {
  /** Logits of the prompt's last token and of each decode row, as bits. */
  logits: Uint32Array
  state: Uint32Array
}

const random = new Random(23)
const ids = (count: number) => Array.from({ length: count }, () => random.integer(0, VOCAB - 1))
const sequence = (prompt: number, cuts: number[] = []): Sequence => ({
  tokens: ids(prompt + DECODES),
  prompt,
  cuts,
})

/** Sequences under test; the first one is replaced by the golden one of each model. */
const subjects = [
  sequence(1),
  sequence(1),
  sequence(64),
  sequence(203),
  sequence(200, [40, 41, 177]),
  sequence(130, [1, 65]),
]
const company = Array.from({ length: SLOTS }, () => sequence(random.integer(1, 32)))

/** Ends of the prompt's slices: the sequence's own cuts, its end, and some multiples of 64. */
function sliceEnds({ prompt, cuts }: Sequence, sliced: () => boolean): number[] {
  const ends = new Set([...cuts, prompt])
  for (let end = 64; end < prompt; end += 64) if (sliced()) ends.add(end)
  return [...ends].sort((a, b) => a - b)
}

interface Schedule {
  /** Whether a prompt is cut at the next multiple of 64. */
  sliced: () => boolean
  /** Share of the sequences that take part in a step. */
  share: () => number
  /** Order of the sequences within a step. */
  order: () => number
  /** Which logits a sequence that is not watched asks for. */
  wants: () => Segment['logits']
}

const alone: Schedule = {
  sliced: () => false,
  share: () => 1,
  order: () => 0,
  wants: () => 'none',
}

function mixed(random: Random): Schedule {
  return {
    sliced: () => random.uniform() < 0.5,
    share: () => Math.min(1, 1.5 * random.uniform()),
    order: () => random.uniform(),
    wants: () => (['none', 'last', 'last', 'last', 'all'] as const)[random.integer(0, 4)],
  }
}

/**
 * Runs all sequences to their ends, side by side.
 * @param watched how many of them, from the first on, have outcomes
 */
async function play(
  model: TestDecoder,
  sequences: readonly Sequence[],
  watched: number,
  schedule: Schedule,
): Promise<Outcome[]> {
  const running = sequences.map((each, index) => ({
    ...each,
    index,
    // Slots in another order than the sequences.
    slot: (index * 37 + sequences.length) % SLOTS,
    ends: sliceEnds(each, schedule.sliced),
    position: 0,
    logits: [] as number[],
  }))
  for (;;) {
    const unfinished = running.filter(({ position, tokens }) => position < tokens.length)
    if (unfinished.length === 0) break
    const active = unfinished
      .map((each) => ({ each, key: schedule.order() }))
      .sort((a, b) => a.key - b.key)
      .map(({ each }) => each)
      .slice(0, Math.ceil(schedule.share() * unfinished.length))
    const decodes = active.filter(({ position, prompt }) => position >= prompt)
    const prompts = active.filter(({ position, prompt }) => position < prompt)
    const step = [...decodes, ...prompts].map((each) => {
      const { position, prompt, slot, tokens, index } = each
      const decode = position >= prompt
      const end = decode ? position + 1 : each.ends.find((end) => end > position)!
      const wanted = end >= prompt ? 'last' : 'none'
      const logits = index < watched ? wanted : schedule.wants()
      const segment: Segment = {
        slot,
        tokens: tokens.slice(position, end),
        position,
        logits,
        decode,
      }
      return { each, segment }
    })
    const logits = await model.run(step.map(({ segment }) => segment))
    let row = 0
    for (const { each, segment } of step) {
      const rows = logitRowsOf(segment)
      if (each.index < watched) {
        each.logits.push(...logits.subarray(row * VOCAB, (row + rows) * VOCAB))
      }
      each.position += segment.tokens.length
      row += rows
    }
  }
  const outcomes: Outcome[] = []
  for (const { slot, logits } of running.slice(0, watched)) {
    outcomes.push({ logits: bitsOf(logits), state: bitsOf(await model.state(slot)) })
  }
  return outcomes
}

describe.each(variants)('same bits in any company, %s', (variant) => {
  describe.each(names)('%s', (name) => {
    const { ids, logits } = golden.models[name].sequences[2]
    const prompt = ids.length - DECODES
    const all = [{ tokens: ids, prompt, cuts: [] }, ...subjects.slice(1)]
    let model: TestDecoder
    const expected: Outcome[] = []

    test('alone', async () => {
      model = await openTestDecoder(gpu, join(fixtures, name), {
        tuning: gpu.tuning(variant, 'f32', true),
        limits: { tokens: 4096, segments: SLOTS, logitRows: 4096 },
        slots: SLOTS,
        maxLength: 256,
      })
      expect(model.vocabSize).toBe(VOCAB)
      for (const subject of all) expected.push(...(await play(model, [subject], 1, alone)))
      const rows = new Float32Array(expected[0].logits.buffer)
      expect(rmsError(rows, logits.slice(prompt - 1).flat())).toBeLessThan(1e-4)
    })

    test('alone, in slices', async () => {
      for (const [index, subject] of all.entries()) {
        const sliced = { ...alone, sliced: () => true }
        expect(await play(model, [subject], 1, sliced)).toEqual([expected[index]])
      }
    })

    // As sequences sit steps out and end, each run has steps of most sizes up to its own.
    test.each([7, 64])('among %i', async (count) => {
      const crowd = [...all, ...company].slice(0, count)
      const schedule = mixed(new Random(count))
      const outcomes = await play(model, crowd, all.length, schedule)
      for (const [index, outcome] of outcomes.entries()) {
        expect(outcome.logits).toEqual(expected[index].logits)
        expect(outcome.state).toEqual(expected[index].state)
      }
    })
  })
})
