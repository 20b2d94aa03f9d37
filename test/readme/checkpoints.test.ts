// Sizes of the published checkpoints, against figures that were worked out by hand.
import { expect, test } from 'bun:test'
import { parseModelConfig } from '../../models/config.ts'
import { stateLayout } from '../../models/state.ts'
import { parameterCount, placedBytes } from '../helpers/placed-bytes.ts'
import { PUBLISHED } from '../helpers/published.ts'
import { checkpointTable } from './checkpoints.ts'

// Parameters of GLA-1.3B: 24 layers of 2 · 1024 · 2048 (q, k), 3 · 2048² (v, o, gate of the output),
// 2048 · 16 + 17 · 1024 (gate), 512 + 2 · 2048 (norms) and 3 · 5632 · 2048 (MLP), twice 32000 · 2048 and
// 2048; the others alike. Floats of a state: GLA Hk·K·V, GSA Hk·M·(K + V), softmax 2·W·Hk·d a layer.
test.each<[string, number, number]>([
  ['gla-7B-mistral-20B', 7_244_390_400, 4 * 32 * 8 * 128 * 128],
  ['gsa-7B-mistral-20B, -100B', 7_308_972_032, 4 * 32 * 8 * 64 * 256],
  ['gla-1.3B-100B', 1_365_514_240, 4 * 24 * 4 * 256 * 512],
  ['gla-340M-15B', 341_707_776, 4 * 24 * 4 * 128 * 256],
  ['GLA-7B hybrid', 7_243_725_824, 4 * (24 * 8 * 128 * 128 + 8 * 2 * 2048 * 8 * 128)],
])('%s: parameters and bytes of a sequence', (name, parameters, state) => {
  const config = parseModelConfig(PUBLISHED[name], 'config.json')
  expect(parameterCount(config)).toBe(parameters)
  expect(stateLayout(config, 4096).slotFloats * 4).toBe(state)
})

test('integers take a scale for every 32; the sensitive matrices have no less than 8 bits', () => {
  const config = parseModelConfig(PUBLISHED['gla-7B-mistral-20B'], 'config.json')
  const gates = 32 * 1024 * 17
  const norms = 32 * (2 * 4096 + 128) + 4096
  const matrices = 7_244_390_400 - gates - norms
  const sensitive = 2 * 32000 * 4096 + 32 * 4096 * 4096
  const vectors = 4 * (gates + norms)
  expect(placedBytes(config, 'f16')).toBe(2 * matrices + vectors)
  expect(placedBytes(config, 'int8')).toBe(matrices * (1 + 2 / 32) + vectors)
  const four = (matrices - sensitive) * (0.5 + 2 / 32)
  expect(placedBytes(config, 'int4')).toBe(four + sensitive * (1 + 2 / 32) + vectors)
})

test('the table has a row for each', () => {
  const rows = checkpointTable().split('\n').slice(2)
  expect(rows.map((row) => row.split(' | ')[0].slice(2))).toEqual(Object.keys(PUBLISHED))
  expect(rows[0]).toContain('| 7.24 G |')
})
