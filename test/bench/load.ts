// Loads a model for measuring and runs its sequences, through the engine and without HTTP.
import { type LoadedModel, type LoadOptions, loadModel } from '../../src/engine/load.ts'
import type { Engine, Generation } from '../../src/engine/request.ts'
import { DeviceError } from '../../src/errors.ts'
import type { StepTime } from '../../src/gpu/step-clock.ts'
import type { GuideFactory } from '../../src/grammar/guide.ts'

export interface BenchModel extends AsyncDisposable {
  model: LoadedModel
  /** The GPU's times of the steps so far; undefined if the adapter does not tell them. */
  times: StepTime[] | undefined
  loadSeconds: number
}

/** What differs between the models of one run. */
export type BenchOptions = Pick<LoadOptions, 'folder' | 'adapter' | 'kernels' | 'dtype'> &
  Partial<LoadOptions>

/** An idle GPU clocks down; it is at full speed after this much work without a pause. */
const CLOCKS_MS = 600
const WARM_TOKENS = 1000

/** Loads a model with its steps timed, where the adapter has timestamps. */
export async function loadForBench(options: BenchOptions): Promise<BenchModel> {
  const start = performance.now()
  const times: StepTime[] = []
  const timed = await load(options, (time) => times.push(time)).catch((error) => {
    if (error instanceof DeviceError) return undefined
    throw error
  })
  // Where timestamps were not the fault this fails in the same way.
  const model = timed ?? (await load(options))
  return {
    model,
    times: timed && times,
    loadSeconds: (performance.now() - start) / 1000,
    [Symbol.asyncDispose]: () => model[Symbol.asyncDispose](),
  }
}

function load(options: BenchOptions, onTime?: LoadOptions['onTime']): Promise<LoadedModel> {
  return loadModel({
    batchInvariant: undefined,
    maxNumSeqs: undefined,
    maxNumBatchedTokens: 512,
    maxModelLen: undefined,
    stateMemory: undefined,
    prefixCacheBytes: undefined,
    prefixCacheHostBytes: undefined,
    ...options,
    onTime,
  })
}

/** Greedy and blind to ends of text, so that each run does the same. */
export function generate(
  engine: Engine,
  prompt: readonly number[],
  maxTokens: number,
  guide?: GuideFactory,
): Generation {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  const request = { id: 'bench', prompt, maxTokens, sampling, stop: [], ignoreEos: true }
  return engine.submit({ ...request, guide })
}

/** Decodes until the clocks of the GPU have risen; to be called before each timing. */
export async function warmClocks(engine: Engine): Promise<void> {
  const end = performance.now() + CLOCKS_MS
  while (performance.now() < end) {
    for await (const _ of generate(engine, [1, 300], WARM_TOKENS)) {
      if (performance.now() > end) break
    }
  }
}

/** `count` token ids without a pattern that a cache could know; equal starts for equal seeds. */
export function randomPrompt(vocabSize: number, count: number, seed = 0): number[] {
  // A linear congruential generator; its high bits are good enough here.
  let state = seed >>> 0
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * vocabSize)
  })
}
