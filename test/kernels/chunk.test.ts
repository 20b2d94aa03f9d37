import { describe, expect, test } from 'bun:test'
import { chunked } from '../../src/gpu/ops/chunk.ts'
import { recurrent } from '../../src/gpu/ops/recurrent.ts'
import type { Plan, StepCounts } from '../../src/gpu/program.ts'
import type { Segment } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import {
  attend,
  expectAttended,
  type FloatInputs,
  type GateKind,
  gatedInputs,
  gateKinds,
  rowsOf,
  stateSize,
} from '../helpers/gated.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import type { GatedShape } from '../oracle/recurrent.ts'

const gpu = await openTestGpu()
const kinds = Object.keys(gateKinds) as GateKind[]

// heads, kvHeads, keyDim, valueDim, lengths of the segments
const shapes: [number, number, number, number, number[]][] = [
  [4, 2, 64, 64, [65, 1, 130]],
  [3, 1, 5, 7, [64, 63, 200, 2]],
  [1, 1, 1, 1, [70]],
  [8, 2, 32, 6, [17, 33]],
  [4, 4, 60, 100, [16, 15]],
  [4, 1, 128, 128, [80]],
  [1, 1, 256, 512, [20]],
]

const small: Omit<GatedShape, 'gateAxis'> = {
  heads: 4,
  kvHeads: 2,
  keyDim: 20,
  valueDim: 12,
  scale: 20 ** -0.5,
}

const NOTHING: StepCounts = {
  tokens: 0,
  decodes: 0,
  segments: 0,
  chunks: 0,
  logitRows: 0,
  samples: 0,
}

/** Attends to segments on the device, as the oracle does. */
async function attendAsOracle(
  variant: Variant,
  ...step: [GatedShape, Segment[], FloatInputs, Float32Array, number]
) {
  const actual = await attend(gpu, variant, ...step)
  const expected = expectAttended(...step)
  expect(rmsError(actual.o, expected.o)).toBeLessThan(1e-6)
  expect(rmsError(actual.pool, expected.pool)).toBeLessThan(1e-6)
  return actual
}

/** Attends to one sequence from ends[0] on in a step for each end after it; the state is handed on. */
async function attendInPieces(
  variant: Variant,
  shape: GatedShape,
  inputs: FloatInputs,
  [start, ...ends]: readonly number[],
  state: Float32Array,
) {
  const tokens = ends[ends.length - 1] - start
  const o: number[] = []
  let pool = state
  let from = start
  for (const end of ends) {
    const part = rowsOf(inputs, tokens, from - start, end - start)
    const segments = segmentsOf([end - from], () => from)
    const next = await attend(gpu, variant, shape, segments, part, pool, stateSize(shape))
    o.push(...next.o)
    pool = next.pool
    from = end
  }
  return { o, pool }
}

describe.each(variants)('chunked, %s', (variant) => {
  describe.each([
    { gateAxis: 'key', shapes },
    { gateAxis: 'value', shapes: shapes.slice(0, 5) },
  ] as const)('gate axis $gateAxis', ({ gateAxis, shapes }) => {
    test.each(shapes)(
      '%d heads, %d kv heads, K %d, V %d, segments %j',
      async (heads, kvHeads, keyDim, valueDim, lengths) => {
        const scale = keyDim ** -0.5
        const shape: GatedShape = { heads, kvHeads, keyDim, valueDim, scale, gateAxis }
        const random = new Random(keyDim)
        // Slots in reverse order, and one that no segment uses.
        const segments = segmentsOf(lengths).map((segment) => ({
          ...segment,
          slot: lengths.length - segment.slot,
        }))
        const stride = stateSize(shape) + (valueDim % 4 === 0 ? 4 : 1)
        const pool = random.normals((lengths.length + 1) * stride)
        const tokens = lengths.reduce((sum, length) => sum + length, 0)
        const inputs = gatedInputs(random, shape, tokens)
        const actual = await attendAsOracle(variant, shape, segments, inputs, pool, stride)
        expect(actual.pool.slice(0, stride)).toEqual(new Float32Array(pool.slice(0, stride)))
      },
    )

    test.each(kinds)('every chunk length, %s gates', async (kind) => {
      const shape: GatedShape = { ...small, gateAxis }
      const random = new Random(7)
      const lengths = [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 128, 300]
      const segments = segmentsOf(lengths)
      const tokens = lengths.reduce((sum, length) => sum + length, 0)
      const stride = stateSize(shape)
      const pool = random.normals(lengths.length * stride)
      const inputs = gatedInputs(random, shape, tokens, kind)
      await attendAsOracle(variant, shape, segments, inputs, pool, stride)
    })

    test.each(kinds)(
      'segments that start inside a chunk of their sequence, %s gates',
      async (kind) => {
        const shape: GatedShape = { ...small, gateAxis }
        const random = new Random(17)
        const starts: [position: number, length: number][] = [
          [1, 63],
          [1, 64],
          [40, 24],
          [40, 3],
          [63, 1],
          [63, 2],
          [63, 130],
          [64, 65],
          [80, 17],
          [100, 92],
          [100, 93],
          [1_000_003, 70],
        ]
        const segments = segmentsOf(
          starts.map(([, length]) => length),
          (index) => starts[index][0],
        )
        const tokens = starts.reduce((sum, [, length]) => sum + length, 0)
        const stride = stateSize(shape)
        const pool = random.normals(starts.length * stride)
        const inputs = gatedInputs(random, shape, tokens, kind)
        await attendAsOracle(variant, shape, segments, inputs, pool, stride)
      },
    )

    test.each([0, 40])(
      'from position %i on, cuts at multiples of 64 change no bit',
      async (start) => {
        const shape: GatedShape = { ...small, gateAxis }
        const random = new Random(19)
        const tokens = 300
        const stride = stateSize(shape)
        const state = random.normals(stride)
        const inputs = gatedInputs(random, shape, tokens)
        const run = (ends: number[]) =>
          attendInPieces(variant, shape, inputs, [start, ...ends], state)
        const end = start + tokens
        const whole = await run([end])
        for (const cuts of [[64], [128, 192], [64, 128, 192, 256]]) {
          expect(await run([...cuts, end])).toEqual(whole)
        }
      },
    )

    test('a prompt cut anywhere, its state handed on, equals the whole', async () => {
      const shape: GatedShape = { ...small, gateAxis }
      const random = new Random(11)
      const tokens = 150
      const stride = stateSize(shape)
      const start = random.normals(stride)
      const inputs = gatedInputs(random, shape, tokens)
      const whole = await attend(gpu, variant, shape, segmentsOf([tokens]), inputs, start, stride)
      for (const cuts of [[1], [100], [17, 18, 80, 149]]) {
        const ends = [0, ...cuts, tokens]
        const { o, pool } = await attendInPieces(variant, shape, inputs, ends, start)
        expect(rmsError(o, whole.o)).toBeLessThan(1e-6)
        expect(rmsError(pool, whole.pool)).toBeLessThan(1e-6)
      }
    })

    test('a step without decode rows or without prompts has no dispatch for them', async () => {
      const range = await gpu.output(4)
      const inputs = { q: range, k: range, v: range, gate: range, o: range, state: range }
      const scratch = { gates: range, gains: range, scores: range }
      const { tables } = await gpu.step(segmentsOf(['decode', 70]))
      const options = { ...small, ...inputs, gateAxis, step: tables, slotStride: 480, scratch }
      const dispatches = (plans: Plan[], counts: Partial<StepCounts>) =>
        plans.filter(({ grid }) => grid({ ...NOTHING, tokens: 1, segments: 1, ...counts })).length
      const decode = recurrent(gpu.tuning(variant), options)
      const prompt = chunked(gpu.tuning(variant), options)
      expect(dispatches(decode, { decodes: 1 })).toBe(decode.length)
      expect(dispatches(decode, { chunks: 1 })).toBe(0)
      expect(dispatches(prompt, { decodes: 1 })).toBe(0)
      expect(dispatches(prompt, { chunks: 1 })).toBe(prompt.length)
    })

    test('decode rows and prompts in one step get the bits of separate steps', async () => {
      const shape: GatedShape = { ...small, gateAxis }
      const random = new Random(13)
      const lengths = ['decode', 'decode', 100, 1, 64, 77] as const
      const slots = [4, 0, 6, 1, 5, 2]
      const segments = segmentsOf([...lengths]).map((each, i) => ({ ...each, slot: slots[i] }))
      const tokens = segments.reduce((sum, segment) => sum + segment.tokens.length, 0)
      const stride = stateSize(shape)
      const pool = random.normals(7 * stride)
      const inputs = gatedInputs(random, shape, tokens, 'spiky')
      const packed = await attend(gpu, variant, shape, segments, inputs, pool, stride)
      const expected = expectAttended(shape, segments, inputs, pool, stride)
      expect(rmsError(packed.o, expected.o)).toBeLessThan(1e-6)
      expect(rmsError(packed.pool, expected.pool)).toBeLessThan(1e-6)
      const width = shape.heads * shape.valueDim
      let first = 0
      for (const segment of segments) {
        const last = first + segment.tokens.length
        const own = rowsOf(inputs, tokens, first, last)
        const alone = await attend(gpu, variant, shape, [segment], own, pool, stride)
        expect(packed.o.slice(first * width, last * width)).toEqual(alone.o)
        const state = (data: Float32Array<ArrayBuffer>) =>
          data.slice(segment.slot * stride, (segment.slot + 1) * stride)
        expect(state(packed.pool)).toEqual(state(alone.pool))
        first = last
      }
      expect(packed.pool.slice(3 * stride, 4 * stride)).toEqual(
        new Float32Array(pool.slice(3 * stride, 4 * stride)),
      )
    })
  })
})
