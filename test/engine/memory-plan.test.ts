import { describe, expect, test } from 'bun:test'
import { parseModelConfig } from '../../models/config.ts'
import { stateLayout } from '../../models/state.ts'
import { planMemory } from '../../src/engine/memory-plan.ts'

const GiB = 2 ** 30
const MiB = 2 ** 20

const gpu = {
  adapter: {
    vendor: 'v',
    architecture: 'a',
    name: 'GPU',
    software: false,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
  },
  limits: { maxBindingSize: 2 * GiB - 4 },
}

/** The 7B shape of the published checkpoints. */
const gla7b = {
  model_type: 'gla',
  hidden_size: 4096,
  num_heads: 32,
  num_kv_heads: 8,
  num_hidden_layers: 32,
  intermediate_size: 14336,
  expand_k: 1,
  expand_v: 1,
  feature_map: 'relu',
  use_output_gate: false,
  vocab_size: 32000,
}
const gla13b = { model_type: 'gla', hidden_size: 2048, num_heads: 4, num_hidden_layers: 24 }
const gla340m = { model_type: 'gla', hidden_size: 1024, num_heads: 4, num_hidden_layers: 24 }
const gsa7b = { ...gla7b, model_type: 'gsa', feature_map: 'swish', num_slots: 64 }

function plan(json: object, more: object = {}, maxLength = 4096) {
  const config = parseModelConfig(json, 'config.json')
  const layout = stateLayout(config, maxLength)
  const options = { maxNumSeqs: undefined, maxNumBatchedTokens: 512, stateMemory: undefined }
  return { ...planMemory(gpu, config, layout, { ...options, ...more }), layout }
}

describe('memory plan', () => {
  test.each([
    ['GLA-7B', gla7b, 16],
    ['GSA-7B', gsa7b, 16],
    ['GLA-1.3B', gla13b, 48],
    ['GLA-340M', gla340m, 12],
  ])('a sequence of %s takes %p MiB', (_, json, size) => {
    const { layout, slots } = plan(json)
    expect(layout.slotFloats * 4).toBe(size * MiB)
    expect(slots).toBe(Math.min(64, Math.floor((2 * GiB - 4) / (size * MiB))))
    expect(layout.maxLength).toBeUndefined()
  })

  test('slots follow from the state memory, steps from slots and prompt tokens', () => {
    const { slots, limits } = plan(gla7b, { stateMemory: GiB / 2 })
    expect(slots).toBe(32)
    expect(limits).toEqual({ tokens: 544, segments: 32, logitRows: 32 + 512 })
    expect(plan({ ...gla7b, vocab_size: 2 ** 20 }).limits.logitRows).toBe(64 + 64)
  })

  const hybrid = { ...gla7b, attn: { layers: [0, 1], num_heads: 32, num_kv_heads: 8 } }

  test('softmax layers make a slot as large as their cache', () => {
    const { layout, slots } = plan(hybrid, {}, 32768)
    const cache = 2 * 2 * 32768 * 8 * 128 * 4
    expect(layout.slotFloats * 4).toBe(30 * (MiB / 2) + cache)
    expect(layout.maxLength).toBe(32768)
    expect(slots).toBe(Math.floor((2 * GiB - 4) / (layout.slotFloats * 4)))
  })

  test.each([
    [
      'more slots than fit',
      gla7b,
      { maxNumSeqs: 200 },
      4096,
      /--max-num-seqs: 200 slots of 16777216 bytes need 3355443200 bytes; 127 fit/,
    ],
    [
      'no room for one slot',
      gla7b,
      { stateMemory: 1000 },
      4096,
      /^one state slot takes 16777216 bytes and 1000 are there .*; raise --state-memory$/,
    ],
    [
      'a sequence too long for any slot',
      hybrid,
      {},
      1e6,
      /lower --max-model-len \(now 1000000\) or raise --state-memory$/,
    ],
    [
      'a rotary table too large',
      { ...hybrid, attn: { ...hybrid.attn, window_size: 16 } },
      {},
      1e8,
      /--max-model-len 100000000: the rotary table takes/,
    ],
  ])('%s', (_, json, options, maxLength, message) => {
    expect(() => plan(json, options, maxLength)).toThrow(message)
  })
})
