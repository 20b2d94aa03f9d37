// Loads a model for measuring and runs its sequences, through the engine and without HTTP.
import { basename, join, resolve } from 'node:path'
import { type ModelConfig, parseModelConfig } from '../../models/config.ts'
import { type LoadedModel, type LoadOptions, loadModel } from '../../src/engine/load.ts'
import type { Engine, Generation } from '../../src/engine/request.ts'
import { CheckpointError, DeviceError } from '../../src/errors.ts'
import type { StepTime } from '../../src/gpu/step-clock.ts'
import type { GuideFactory } from '../../src/grammar/guide.ts'
import { readJsonFile } from '../../src/loader/files.ts'
import { EMBEDDED_MODEL } from '../../src/serve/model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import type { ModelOptions } from './options.ts'
import { SHAPES, writeModelFolder } from './shapes.ts'
import { CLOCKS_MS } from './timing.ts'

export interface BenchModel extends AsyncDisposable {
  model: LoadedModel
  /** The GPU's times of the steps so far; undefined if the adapter does not tell them. */
  times: StepTime[] | undefined
  loadSeconds: number
}

/** What differs between the models of one run. */
export type BenchOptions = Pick<
  LoadOptions,
  'folder' | 'adapter' | 'kernels' | 'dtype' | 'quantization'
> &
  Partial<LoadOptions>

/** A folder to load a model from. */
export interface ModelFolder extends AsyncDisposable {
  /** For people. */
  name: string
  folder: string
  config: ModelConfig
  /** How to load it. */
  options: BenchOptions
}

const WARM_TOKENS = 1000

/** The model that the options name; a shape becomes a folder that exists until it is disposed of. */
export async function openModelFolder(
  options: Omit<ModelOptions, 'rounds' | 'json'>,
): Promise<ModelFolder> {
  const temp = options.shape && (await TempFolder.create())
  if (temp && options.shape) await writeModelFolder(temp.path, SHAPES[options.shape])
  const folder = temp?.path ?? resolve(options.model ?? EMBEDDED_MODEL)
  const { adapter, kernels, dtype, quantization, batchInvariant, maxNumBatchedTokens } = options
  return {
    name: options.shape ? `${options.shape}, random weights` : basename(folder),
    folder,
    config: await readModelConfig(folder),
    options: {
      ...{ folder, adapter, kernels, dtype, quantization, batchInvariant, maxNumBatchedTokens },
      randomWeights: options.randomWeights || options.shape !== undefined,
    },
    [Symbol.asyncDispose]: async () => temp?.[Symbol.asyncDispose](),
  }
}

async function readModelConfig(folder: string): Promise<ModelConfig> {
  const file = join(folder, 'config.json')
  const json = await readJsonFile(file)
  if (json === undefined) throw new CheckpointError(folder, 'has no config.json')
  return parseModelConfig(json, file)
}

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

/** Decodes until the clocks of a GPU have risen; to be called before each timing. */
export async function warmClocks({ gpu, engine }: Pick<LoadedModel, 'gpu' | 'engine'>) {
  if (gpu.adapter.software) return
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
