// What a token costs far into a sequence: decode steps at growing positions of one sequence.
import type { StepTime } from '../../src/gpu/step-clock.ts'
import { type BenchModel, randomPrompt, warmClocks } from './load.ts'
import { median, quantile } from './statistics.ts'

/** Timed steps of one round, behind some that let the queue fill. */
const STEPS = 64
const FIRST_STEPS = 4
/** Prompts grow by at most this many tokens at once, a multiple of 64, to show progress. */
const PIECE = 4096

export interface LongRow {
  /** Tokens in front of the timed ones, but for the first few steps. */
  position: number
  /** Milliseconds from one token to the next as the reader sees them: median, tenth parts. */
  milliseconds: number
  low: number
  high: number
  /** Milliseconds of a step on the GPU, median; undefined without timestamps. */
  gpuMilliseconds: number | undefined
}

export interface LongOptions {
  /** Ascending. */
  positions: readonly number[]
  /** Times that each position is measured, in turn with the others. */
  rounds: number
  /** Told what was done, line by line. */
  log: (line: string) => void
}

/**
 * Measures one sequence of random tokens. It is computed once: the state at each position is kept by
 * the prefix cache, and each timing goes on from it. Without a cache each timing reads its prompt.
 * @throws Error if the cache is too small to keep the sequence
 */
export async function measureLong(bench: BenchModel, options: LongOptions): Promise<LongRow[]> {
  const { positions, rounds, log } = options
  const { plan, decoder } = bench.model
  const sequence = randomPrompt(decoder.vocabSize, Math.max(...positions), 1)
  if (plan.snapshots > 0) await grow(bench, sequence, options)
  const samples = positions.map(() => ({ host: [] as number[], gpu: [] as number[] }))
  for (let round = 0; round < rounds; round++) {
    // To and fro, so that no position always comes first.
    const order = [...positions.keys()]
    for (const i of round % 2 === 0 ? order : order.reverse()) {
      const position = positions[i]
      await warmClocks(bench.model)
      const { host, gpu } = await timeSteps(bench, sequence.slice(0, position), positions)
      samples[i].host.push(...host)
      samples[i].gpu.push(...gpu)
      log(`round ${round + 1}: ${median(host).toFixed(2)} ms a token at ${position}`)
    }
  }
  return positions.map((position, i) => {
    const { host, gpu } = samples[i]
    return {
      position,
      milliseconds: median(host),
      low: quantile(host, 0.1),
      high: quantile(host, 0.9),
      gpuMilliseconds: gpu.length > 0 ? median(gpu) : undefined,
    }
  })
}

/** Computes the sequence piece by piece, so that the state at each position is kept. */
async function grow(
  bench: BenchModel,
  sequence: readonly number[],
  { positions, log }: LongOptions,
): Promise<void> {
  const stops = new Set(positions)
  for (let stop = PIECE; stop < sequence.length; stop += PIECE) stops.add(stop)
  let previous = 0
  const start = performance.now()
  for (const stop of [...stops].sort((a, b) => a - b)) {
    for await (const { cache } of submit(bench, sequence.slice(0, stop), positions, 1)) {
      if (cache && cache.read < previous) {
        throw new Error(
          `the prefix cache lost the state at token ${previous} (${cache.read} were read); ` +
            `it holds ${bench.model.plan.snapshots} states`,
        )
      }
    }
    previous = stop
    log(`at token ${stop} after ${((performance.now() - start) / 1000).toFixed(1)} s`)
  }
}

/** Milliseconds between tokens, and of the steps that made them. */
async function timeSteps(
  bench: BenchModel,
  prompt: readonly number[],
  positions: readonly number[],
): Promise<{ host: number[]; gpu: number[] }> {
  const arrivals: number[] = []
  if (bench.times) bench.times.length = 0
  for await (const _ of submit(bench, prompt, positions, FIRST_STEPS + STEPS)) {
    arrivals.push(performance.now())
  }
  const timed = arrivals.slice(FIRST_STEPS - 1)
  const steps = bench.times?.slice(-STEPS) ?? []
  return {
    host: timed.slice(1).map((time, i) => time - timed[i]),
    gpu: steps.map(({ begin, end }: StepTime) => Number(end - begin) / 1e6),
  }
}

/** Prompts that stop at all positions in the same way find each other's states. */
function submit(
  { model }: BenchModel,
  prompt: readonly number[],
  positions: readonly number[],
  maxTokens: number,
) {
  return model.engine.submit({
    id: `position ${prompt.length}`,
    prompt,
    maxTokens,
    sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined },
    stop: [],
    ignoreEos: true,
    cacheBreakpoints: positions.filter((position) => position <= prompt.length),
  })
}
