// The seven golden checkpoints: logits of every position and final states, however they are fed.
import { describe, expect, test } from 'bun:test'
import { basename, join } from 'node:path'
import type { StatePart } from '../../models/state.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import {
  decodeRow,
  fixtures,
  openTestModel,
  slice,
  type TestModel,
  trained,
} from '../helpers/model.ts'
import { Random, rmsError } from '../helpers/numbers.ts'

interface Checksum {
  shape: number[]
  sum: number
  l2: number
  dot: number
}

interface GoldenSequence {
  ids: number[]
  logits: number[][]
  final_state: Record<string, Checksum | number>[]
}

const golden = await Bun.file(join(fixtures, 'golden.json')).json()
const names = Object.keys(golden.models)
const gpu = await openTestGpu()

const sequencesOf = (name: string): GoldenSequence[] =>
  golden.models[golden.models[name].same_as ?? name].sequences

describe.each(variants)('golden checkpoints, %s', (variant) => {
  describe.each(names)('%s', async (name) => {
    let model: TestModel
    const sequences = sequencesOf(name)

    test('loads', async () => {
      model = await openTestModel(gpu, join(fixtures, name), variant)
      expect(model.decoder.program.dispatches.length).toBeGreaterThan(10)
    })

    test('fed whole, all sequences in one step', async () => {
      const segments = sequences.map(({ ids }, slot) => slice(slot, ids, 0))
      const logits = await model.run(segments)
      expect(
        rmsError(
          logits,
          sequences.flatMap((each) => each.logits.flat()),
        ),
      ).toBeLessThan(1e-4)
      for (const [slot, sequence] of sequences.entries()) await checkState(model, slot, sequence)
    })

    test('fed token by token', async () => {
      for (const [slot, sequence] of sequences.entries()) {
        const rows: number[] = []
        for (const [position, id] of sequence.ids.entries()) {
          const row = await model.run([decodeRow(slot, id, position)])
          rows.push(...row)
        }
        expect(rmsError(rows, sequence.logits.flat())).toBeLessThan(1e-4)
        await checkState(model, slot, sequence)
      }
    })

    test.each([1, 2, 3])(
      'split at arbitrary places, prompts and single tokens mixed (%d)',
      async (seed) => {
        const random = new Random(seed)
        const [, , long] = sequences
        const [, middle] = sequences
        const rows: number[] = []
        let position = 0
        while (position < long.ids.length) {
          const count = Math.min(random.integer(1, 70), long.ids.length - position)
          // A decode row of another sequence runs beside some of the slices.
          const beside = random.uniform() < 0.5 ? [decodeRow(1, middle.ids[0], 0)] : []
          const part =
            count === 1
              ? decodeRow(2, long.ids[position], position)
              : slice(2, long.ids.slice(position, position + count), position)
          const logits = await model.run([...beside, part])
          rows.push(...logits.subarray(beside.length * long.logits[0].length))
          position += count
        }
        expect(rmsError(rows, long.logits.flat())).toBeLessThan(1e-4)
        await checkState(model, 2, long)
      },
    )
  })
})

test.each(variants)('a window longer than any sequence hides nothing, %s', async (variant) => {
  const [, middle] = sequencesOf('hybrid')
  const model = await openTestModel(gpu, join(fixtures, 'hybrid'), variant, 24)
  const whole = await model.run([slice(0, middle.ids.slice(0, 24), 0)])
  expect(rmsError(whole, middle.logits.slice(0, 24).flat())).toBeLessThan(1e-4)
})

describe.each(variants)('trained checkpoints, %s', (variant) => {
  test.each(trained.map((folder) => [basename(folder), folder]))(
    '%s: the 512-token trace, and top logits of the prompts',
    async (_, folder) => {
      const { cases, long } = await Bun.file(join(folder, 'golden.json')).json()
      const model = await openTestModel(gpu, folder, variant)
      const vocab = model.decoder.vocabSize
      const logits = await model.run([slice(0, long.ids.slice(0, 512), 0)])
      for (const [position, nll] of long.nll_per_token.entries()) {
        const row = logits.subarray(position * vocab, (position + 1) * vocab)
        const largest = row.reduce((a, b) => Math.max(a, b))
        const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0)
        const actual = largest + Math.log(sum) - row[long.ids[position + 1]]
        expect(Math.abs(actual - nll)).toBeLessThan(2e-3)
      }
      for (const { ids, last_logits_top20: top } of cases) {
        const all = await model.run([slice(1, ids, 0)])
        const last = all.subarray(all.length - vocab)
        expect(
          rmsError(
            top.ids.map((id: number) => last[id]),
            top.values,
          ),
        ).toBeLessThan(1e-4)
      }
    },
  )
})

/** Compares every part of a slot with the checksums of the float64 states. */
async function checkState(model: TestModel, slot: number, sequence: GoldenSequence): Promise<void> {
  const state = await model.state(slot)
  for (const part of model.layout.parts) {
    const expected = sequence.final_state[part.layer]
    for (const [key, values] of Object.entries(goldenParts(model, part, state, sequence))) {
      const sums = expected[key] as Checksum
      expect(values.length).toBe(sums.shape.reduce((a, b) => a * b, 1))
      const actual = checksum(values)
      expect(Math.abs(actual.l2 - sums.l2)).toBeLessThanOrEqual(1e-4 * sums.l2)
      expect(Math.abs(actual.sum - sums.sum)).toBeLessThanOrEqual(1e-4 * sums.l2)
      expect(Math.abs(actual.dot - sums.dot)).toBeLessThanOrEqual(1e-4 * sums.l2)
    }
  }
}

/** A part of a slot under the names and in the order that the goldens use. */
function goldenParts(
  model: TestModel,
  part: StatePart,
  state: Float32Array,
  { ids }: GoldenSequence,
): Record<string, Float32Array> {
  const size = part.shape.reduce((a, b) => a * b, 1)
  const values = state.subarray(part.offset, part.offset + size)
  const config = model.config.layers[part.layer]
  if (part.name === 'cache') {
    // Rows go round a ring; goldens list the tokens in view, oldest first.
    const [, capacity, heads, dim] = part.shape
    const row = heads * dim
    const seen = ids.length
    const kept = Math.min(seen, config.kind === 'softmax' ? (config.window ?? seen) : seen)
    const collect = (base: number) =>
      Float32Array.from({ length: kept * row }, (_, i) => {
        const position = seen - kept + Math.floor(i / row)
        return values[base + (position % capacity) * row + (i % row)]
      })
    return { k: collect(0), v: collect(capacity * row) }
  }
  if (part.name !== 'conv' || config.kind === 'softmax') return { [part.name]: values }
  const width = part.shape[1]
  const { heads, kvHeads, keyDim, valueDim } = config
  const q = heads * keyDim * width
  const k = q + kvHeads * keyDim * width
  const v = k + kvHeads * valueDim * width
  return {
    conv_q: values.subarray(0, q),
    conv_k: values.subarray(q, k),
    conv_v: values.subarray(k, v),
  }
}

function checksum(values: Float32Array): Omit<Checksum, 'shape'> {
  let [sum, squares, dot] = [0, 0, 0]
  for (const [i, x] of values.entries()) {
    sum += x
    squares += x * x
    dot += x * Math.cos(1 + 0.1 * i)
  }
  return { sum, l2: Math.sqrt(squares), dot }
}
