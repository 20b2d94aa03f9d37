// Models with integer weights: near the float64 logits, and the same by prompts and by single tokens.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { MatrixType } from '../../src/gpu/matrix.ts'
import { openTestDecoder } from '../helpers/decoder.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { decodeRow, fixtures, shipped, slice } from '../helpers/model.ts'
import { rmsError } from '../helpers/numbers.ts'

const gpu = await openTestGpu()
const golden = await Bun.file(join(fixtures, 'golden.json')).json()
const limits = { tokens: 128, segments: 4, logitRows: 128 }

function open(folder: string, variant: (typeof variants)[number], weights: MatrixType) {
  const tuning = gpu.tuning(variant, weights, true)
  return openTestDecoder(gpu, folder, { tuning, limits, slots: 4, maxLength: 256 })
}

describe.each(variants)('%s', (variant) => {
  // Heads of 16 numbers share int8 groups, so that norms cannot write them; softmax layers have none.
  test.each([
    { name: 'gla', weights: 'int8', bound: 0.03 },
    { name: 'gsa', weights: 'int4', bound: 0.25 },
    { name: 'hybrid', weights: 'int8', bound: 0.06 },
  ] as const)('$name, $weights', async ({ name, weights, bound }) => {
    const model = await open(join(fixtures, name), variant, weights)
    const { ids, logits } = golden.models[name].sequences[1]
    const whole = await model.run([slice(0, ids, 0)])
    expect(rmsError(whole, logits.flat())).toBeLessThan(bound)
    const rows: number[] = []
    for (const [position, id] of ids.entries()) {
      const step = [decodeRow(1, id, position)]
      // Another sequence and a prompt beside some of the tokens.
      if (position % 3 === 0) step.unshift(decodeRow(2, ids[0], 0))
      if (position % 5 === 0) step.push(slice(3, ids.slice(0, 9), 0))
      const made = await model.run(step)
      const first = position % 3 === 0 ? model.vocabSize : 0
      rows.push(...made.subarray(first, first + model.vocabSize))
    }
    // A number close to the middle of two integers may be rounded to either.
    expect(rmsError(rows, whole)).toBeLessThan(0.02)
  })

  test.each(['tales-gla-5m', 'tales-gsa-5m'])('%s, int8: the top of a prompt', async (name) => {
    const folder = join(shipped, name)
    const { cases } = await Bun.file(join(folder, 'golden.json')).json()
    const { ids, last_logits_top20: top } = cases[0]
    const model = await open(folder, variant, 'int8')
    const steps = ids.map((id: number, position: number) => [decodeRow(1, id, position)])
    for (const step of [[slice(0, ids, 0)], ...steps.slice(0, -1)]) await model.run(step)
    const last = await model.run(steps.at(-1))
    const picked = top.ids.map((id: number) => last[id])
    expect(rmsError(picked, top.values)).toBeLessThan(0.012)
    const state = new Float32Array(await model.state(1))
    expect(rmsError(state, await model.state(0))).toBeLessThan(0.01)
  })
})
