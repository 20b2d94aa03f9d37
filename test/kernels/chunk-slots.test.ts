// Gated slot attention as it runs: gated pass over the keys, softmax, gated pass over the values.
import { describe, expect, test } from 'bun:test'
import { chunked, chunkScratchSizes } from '../../src/gpu/ops/chunk.ts'
import { type GatedAttention, recurrent } from '../../src/gpu/ops/recurrent.ts'
import { slotSoftmax } from '../../src/gpu/ops/slot-softmax.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { logSigmoid } from '../oracle/math.ts'
import { slotRecurrent } from '../oracle/recurrent.ts'

const gpu = await openTestGpu()

describe.each(variants)('gated slot attention, %s', (variant) => {
  test.each([
    { heads: 4, kvHeads: 2, keyDim: 64, slots: 32, valueDim: 64, normalizer: 8 },
    { heads: 3, kvHeads: 1, keyDim: 20, slots: 6, valueDim: 20, normalizer: 1 },
    { heads: 2, kvHeads: 2, keyDim: 7, slots: 64, valueDim: 7, normalizer: 0.1 },
  ])('$heads heads of $keyDim, $slots slots, gates / $normalizer', async (shape) => {
    const { heads, kvHeads, keyDim, slots, valueDim, normalizer } = shape
    const random = new Random(slots)
    const segments = segmentsOf(['decode', 'decode', 90, 3])
    const step = await gpu.step(segments)
    const { tokens } = step.counts
    const f = random
      .normals(tokens * kvHeads * slots)
      .map((logit) => Math.fround(logSigmoid(logit) / normalizer))
    const inputs = {
      q: random.normals(tokens * heads * keyDim, 0.5),
      k: random.normals(tokens * kvHeads * keyDim, 0.5),
      v: random.normals(tokens * kvHeads * valueDim),
      s: f.map((gate) => -Math.expm1(gate)),
      f,
    }
    const keysSize = kvHeads * keyDim * slots
    const valuesSize = kvHeads * slots * valueDim
    const keys = random.normals(segments.length * keysSize, 0.3)
    const values = random.normals(segments.length * valuesSize)

    const logits = await gpu.output(tokens * heads * slots)
    const p = await gpu.output(tokens * heads * slots)
    const o = await gpu.output(tokens * heads * valueDim)
    const s = await gpu.input(inputs.s)
    const common = { step: step.tables, gate: await gpu.input(f), heads, kvHeads, scale: 1 }
    const first: GatedAttention = {
      ...common,
      q: await gpu.input(inputs.q),
      k: await gpu.input(inputs.k),
      v: s,
      o: logits,
      state: await gpu.input(keys),
      slotStride: keysSize,
      keyDim,
      valueDim: slots,
      gateAxis: 'value',
    }
    const second: GatedAttention = {
      ...common,
      q: p,
      k: s,
      v: await gpu.input(inputs.v),
      o,
      state: await gpu.input(values),
      slotStride: valuesSize,
      keyDim: slots,
      valueDim,
      gateAxis: 'key',
    }
    const tuning = gpu.tuning(variant)
    const pass = async (options: GatedAttention) => {
      const limits = { tokens, segments: segments.length, logitRows: 0 }
      const sizes = chunkScratchSizes(limits, options)
      const scratch = {
        gates: await gpu.output(sizes.gates),
        gains: await gpu.output(sizes.gains),
        scores: await gpu.output(sizes.scores),
      }
      return [...recurrent(tuning, options), ...chunked(tuning, { ...options, scratch })]
    }
    await gpu.run(
      [
        ...(await pass(first)),
        slotSoftmax(tuning, { step: step.tables, logits, p, heads, slots }),
        ...(await pass(second)),
      ],
      step.counts,
    )

    const keysAfter = Float64Array.from(keys)
    const valuesAfter = Float64Array.from(values)
    const expected: number[] = []
    let row = 0
    for (const { slot, tokens } of segments) {
      const own = keysAfter.subarray(slot * keysSize, (slot + 1) * keysSize)
      const ownValues = valuesAfter.subarray(slot * valuesSize, (slot + 1) * valuesSize)
      const problem = { ...shape, scale: 1 }
      const end = row + tokens.length
      expected.push(...slotRecurrent(problem, inputs, own, ownValues, row, end))
      row = end
    }
    expect(rmsError(await gpu.read(o), expected)).toBeLessThan(2e-6)
    expect(rmsError(await gpu.read(first.state), keysAfter)).toBeLessThan(1e-6)
    expect(rmsError(await gpu.read(second.state), valuesAfter)).toBeLessThan(1e-6)
  })
})
