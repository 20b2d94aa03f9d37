import { expect, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { rmsNorm } from '../../src/gpu/ops/norm.ts'
import { slotSoftmax } from '../../src/gpu/ops/slot-softmax.ts'
import { preprocess } from '../../src/gpu/wgsl.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

// Devices without subgroups are served by the plain variants; a text that enables what the device
// lacks does not compile there.
test.each(variants)('only the subgroup variant enables subgroups (%s)', async (variant) => {
  const { tables: step } = await gpu.step(segmentsOf([1]))
  const x = await gpu.input([1])
  const y = await gpu.output(1)
  const plans = [
    rmsNorm(gpu.tuning(variant), { step, x, y: floats(y), weight: undefined, dim: 1, eps: 1e-5 }),
    slotSoftmax(gpu.tuning(variant), { step, logits: x, p: y, heads: 1, slots: 1 }),
  ]
  for (const { kernel, params } of plans) {
    expect(preprocess(kernel, params).includes('enable subgroups;')).toBe(variant === 'subgroup')
  }
})
