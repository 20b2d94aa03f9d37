import { describe, expect, test } from 'bun:test'
import { parseModelConfig } from '../../models/config.ts'
import { stateLayout } from '../../models/state.ts'
import { type MemoryOptions, planMemory, planPrefixCache } from '../../src/engine/memory-plan.ts'

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
  limits: {
    maxBindingSize: 2 * GiB - 4,
    maxWorkgroupBytes: 32768,
    maxInvocations: 1024,
    maxStorageBuffers: 10,
  },
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

const software = { ...gpu, adapter: { ...gpu.adapter, software: true } }

const options: MemoryOptions = {
  maxNumSeqs: undefined,
  maxNumBatchedTokens: 512,
  stateMemory: undefined,
  prefixCacheBytes: undefined,
  prefixCacheHostBytes: undefined,
}

function plan(json: object, more: Partial<MemoryOptions> = {}, maxLength = 4096, device = gpu) {
  const config = parseModelConfig(json, 'config.json')
  const layout = stateLayout(config, maxLength)
  return { ...planMemory(device, config, layout, { ...options, ...more }), layout }
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

  test("a software adapter gets less, for its memory is the host's", () => {
    expect(plan(gla7b, {}, 4096, software).slots).toBe(64)
    expect(plan(gla13b, {}, 4096, software).slots).toBe(Math.floor(GiB / (48 * MiB)))
  })

  test('asking for as many slots as fit is fine, for one more is not', () => {
    const half = { stateMemory: GiB / 2 }
    expect(plan(gla7b, { ...half, maxNumSeqs: 32 }).slots).toBe(32)
    expect(() => plan(gla7b, { ...half, maxNumSeqs: 33 })).toThrow(/33 slots .* 32 fit/)
  })

  test('scored prompts have room for a chunk, and for no more than a step holds', () => {
    const scored = (vocabSize: number, maxNumBatchedTokens: number) => {
      const { slots, limits } = plan({ ...gla7b, vocab_size: vocabSize }, { maxNumBatchedTokens })
      return limits.logitRows - slots
    }
    expect(scored(32000, 128)).toBe(128)
    // 64 MiB hold 524 rows of 32,000 floats.
    expect(scored(32000, 2048)).toBe(512)
    expect(scored(152064, 2048)).toBe(64)
    expect(scored(2 ** 18, 2048)).toBe(64)
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

describe('prefix cache', () => {
  test.each([
    ['a GPU keeps a tier in host memory', gpu, {}, GiB, 2 * GiB],
    ['a software adapter has one tier', software, {}, 64 * MiB, 0],
    ['options count on a GPU', gpu, { prefixCacheBytes: 5, prefixCacheHostBytes: 7 }, 5, 7],
    ['and on a software adapter', software, { prefixCacheBytes: 5, prefixCacheHostBytes: 7 }, 5, 7],
    ['0 switches it off', gpu, { prefixCacheBytes: 0, prefixCacheHostBytes: 0 }, 0, 0],
    ['each alone', gpu, { prefixCacheHostBytes: 0 }, GiB, 0],
  ])('%s', (_, device, more, gpuBytes, hostBytes) => {
    expect(planPrefixCache(device, { ...options, ...more })).toEqual({ gpuBytes, hostBytes })
  })
})
