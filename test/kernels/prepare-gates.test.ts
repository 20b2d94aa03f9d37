// Accuracy of log gates and write strengths, number by number, over all inputs that matter.
import { describe, expect, test } from 'bun:test'
import { prepareGla, prepareGsa } from '../../src/gpu/ops/prepare.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { glaGates, gsaGates } from '../oracle/prepare.ts'

const gpu = await openTestGpu()

const special = [80, -80, 0, -0, 1e-30, -1e-30, 1e-6, -1e-6, 1e-3, -1e-3, -88, -1000]
const sweep = Array.from({ length: 3201 }, (_, i) => (i - 1600) / 20)
const inputs = Float32Array.from([...special, ...sweep])

/** Largest relative error; the expected numbers are not zero. */
function relativeError(actual: Float32Array, expected: Float64Array): number {
  return actual.reduce((worst, x, i) => {
    const error = Math.abs(x / expected[i] - 1)
    return error > worst || Number.isNaN(error) ? error : worst
  }, 0)
}

/** Buffers for one token with one key channel of everything but the gates. */
async function setup(rest: Float32Array) {
  const step = await gpu.step(segmentsOf([1]))
  return {
    step,
    options: {
      step: step.tables,
      p: await gpu.input([1, 1, 1, ...rest]),
      stride: 3 + rest.length,
      q: await gpu.output(1),
      k: await gpu.output(1),
      v: await gpu.output(1),
      heads: 1,
      kvHeads: 1,
      keyDim: 1,
      valueDim: 1,
    },
  }
}

describe.each(variants)('gates, %s', (variant) => {
  test('open gates whose logarithm is below the smallest float', async () => {
    const far = Float32Array.from([88, 100, 1000, 1e30])
    const { step, options } = await setup(far)
    const gate = await gpu.output(far.length)
    const s = await gpu.output(far.length)
    await gpu.run(
      prepareGsa(gpu.tuning(variant), {
        ...options,
        featureMap: 'swish',
        slots: far.length,
        gateNormalizer: 8,
        gate,
        s,
      }),
      step.counts,
    )
    for (const g of await gpu.read(gate)) expect(Math.abs(g)).toBeLessThan(1e-38)
    for (const strength of await gpu.read(s)) expect(Math.abs(strength)).toBeLessThan(1e-38)
  })

  test.each([1, 8])('GSA, normalizer %d: f and s to 5e-6', async (gateNormalizer) => {
    const { step, options } = await setup(inputs)
    const gate = await gpu.output(inputs.length)
    const s = await gpu.output(inputs.length)
    await gpu.run(
      prepareGsa(gpu.tuning(variant), {
        ...options,
        featureMap: 'relu',
        slots: inputs.length,
        gateNormalizer,
        gate,
        s,
      }),
      step.counts,
    )
    const expected = gsaGates(inputs, gateNormalizer)
    expect(relativeError(await gpu.read(gate), expected.gate)).toBeLessThan(5e-6)
    expect(relativeError(await gpu.read(s), expected.s)).toBeLessThan(5e-6)
  })

  test('GLA, one token for each input: gates to 5e-6', async () => {
    const step = await gpu.step(segmentsOf([inputs.length]))
    const p = Float32Array.from({ length: inputs.length * 4 }, (_, i) => inputs[i >> 2])
    const [q, k, v, gate] = await Promise.all([1, 2, 3, 4].map(() => gpu.output(inputs.length)))
    await gpu.run(
      prepareGla(gpu.tuning(variant), {
        step: step.tables,
        p: await gpu.input(p),
        stride: 4,
        q,
        k,
        v,
        gate,
        heads: 1,
        kvHeads: 1,
        keyDim: 1,
        valueDim: 1,
        featureMap: 'logsigmoid',
        gateRank: 1,
        gateUp: await gpu.input([1]),
        gateBias: await gpu.input([0]),
        gateNormalizer: 16,
        clampMin: undefined,
      }),
      step.counts,
    )
    const expected = glaGates(inputs, [1], [0], 1, 16)
    expect(relativeError(await gpu.read(gate), expected)).toBeLessThan(5e-6)
    expect(
      relativeError(
        await gpu.read(q),
        expected.map((g) => g * 16),
      ),
    ).toBeLessThan(5e-6)
  })
})
