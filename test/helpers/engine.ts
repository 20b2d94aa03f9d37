// An engine over a tiny golden checkpoint, whose token i is the letter at its place: for tests that
// compare bits over many runs.
import { PrefixAdmission } from '../../src/engine/admission.ts'
import { type EngineOptions, GlazeEngine } from '../../src/engine/engine.ts'
import { PrefixCache } from '../../src/engine/prefix-cache.ts'
import type { Generation, GenerationRequest, Output } from '../../src/engine/request.ts'
import { Runner } from '../../src/engine/runner.ts'
import { SnapshotMemory } from '../../src/engine/snapshot-memory.ts'
import { StateCopies } from '../../src/engine/state-copies.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { openTestDecoder } from './decoder.ts'
import type { openTestGpu } from './gpu.ts'
import { GREEDY } from './sequences.ts'

const tokenizer = {
  bytes: (id: number) => new TextEncoder().encode(String.fromCodePoint(0x4e00 + id)),
  isSpecial: () => false,
  stripsLeadingSpace: false,
}

export interface TestEngineOptions extends Partial<EngineOptions> {
  slots?: number
  /** Prefix states that fit on the GPU, and in host memory. */
  snapshots?: number
  hostSnapshots?: number
  /** Reuse only what leaves no trace in the rounding; true if left out. */
  exact?: boolean
}

/** The loaded model; several engines may use it one after another. */
export async function openTinyModel(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  folder: string,
  variant: Variant,
  slots = 4,
) {
  const tuning = gpu.tuning(variant, 'f32', true)
  const limits = { tokens: 256 + slots, segments: slots, logitRows: 128 + slots }
  const { decoder } = await openTestDecoder(gpu, folder, { tuning, limits, slots, maxLength: 1024 })
  const runner = await Runner.create({ ...gpu, decoder, tuning })

  /** A fresh engine with an empty prefix cache. */
  async function engine(options: TestEngineOptions = {}) {
    const { slotFloats } = decoder.layout
    const rowBytes = (slotFloats + decoder.vocabSize) * 4
    const memory = await SnapshotMemory.create(gpu.buffers, gpu.gpu.release, {
      stateBytes: slotFloats * 4,
      logitsBytes: decoder.vocabSize * 4,
      gpuBytes: (options.snapshots ?? 0) * rowBytes,
      hostBytes: (options.hostSnapshots ?? 0) * rowBytes,
    })
    const copies = await StateCopies.create(gpu.buffers, decoder, memory)
    const cache = new PrefixCache({ exact: options.exact ?? true, memory })
    return new GlazeEngine(runner, new PrefixAdmission(cache, copies, runner.tables), {
      tokenizer,
      eosTokenIds: [],
      maxLength: undefined,
      promptTokens: 256,
      scoredTokens: 128,
      ...options,
    })
  }
  return { decoder, runner, engine }
}

/** A greedy request for eight tokens with log-probabilities. */
export function requestOf(
  prompt: readonly number[],
  more: Partial<GenerationRequest> = {},
): GenerationRequest {
  return { id: 'test', prompt, maxTokens: 8, sampling: GREEDY, stop: [], logprobs: 5, ...more }
}

/** All of a generation. */
export async function collect(generation: Generation) {
  const outputs: Output[] = []
  for await (const output of generation) outputs.push(output)
  const last = outputs.at(-1)
  return {
    text: outputs.map((output) => output.text).join(''),
    tokens: outputs.flatMap((output) => output.tokens),
    promptLogprobs: outputs[0]?.promptLogprobs,
    finish: last?.finish,
    cache: last?.cache,
  }
}
