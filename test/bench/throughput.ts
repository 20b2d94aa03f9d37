// Tokens per second of prompts and of decoding.
import type { LoadedModel } from '../../src/engine/load.ts'
import { openGrammars } from '../../src/grammar/grammars.ts'
import type { GuideFactory } from '../../src/grammar/guide.ts'
import { generate, randomPrompt, warmClocks } from './load.ts'
import { median } from './statistics.ts'

const PROMPT_LENGTHS = [64, 512, 2048]
/** Sequences at once; more than eight on GPUs only, as CPUs are at their limit before. */
const BATCHES = [1, 2, 4, 8, 16, 32, 64]
const MOST_ON_CPUS = 8
const DECODE_TOKENS = 64
/** Sequences at once whose answers must have a format. */
const GUIDED = [1, 8, 64]
/** A format that does not end within the tokens that are measured. */
const LONG_LIST = { type: 'array', items: { type: 'string' }, minItems: 1000 }

export interface ThroughputRow {
  what: string
  /** Tokens per second, median of the rounds. */
  median: number
  best: number
  /** Milliseconds of a whole prompt, or of one step. */
  milliseconds: number
}

/** Measures each row `rounds` times after a first time that does not count. */
export async function* measureThroughput(
  model: LoadedModel,
  rounds: number,
): AsyncGenerator<ThroughputRow> {
  for (const length of PROMPT_LENGTHS) {
    if (length >= (model.maxLength ?? Number.POSITIVE_INFINITY)) continue
    let seed = 0
    const times = await repeat(model, rounds, () => promptSeconds(model, length, seed++))
    yield rowOf(`prompt of ${length}`, length, 1, times)
  }
  for (const batch of BATCHES) {
    if (batch > model.plan.slots) continue
    if (batch > MOST_ON_CPUS && model.gpu.adapter.software) continue
    // The first token of each sequence ends its prompt; the clock starts there.
    const steps = DECODE_TOKENS - 1
    const times = await repeat(model, rounds, () => decodeSeconds(model, batch))
    const what = `decode, ${batch} sequence${batch > 1 ? 's' : ''}`
    yield rowOf(what, batch * steps, steps, times)
  }
  yield* measureGuided(model, rounds)
}

/** Decoding of JSON by a schema: each token waits for its mask, which follows from the one before. */
async function* measureGuided(model: LoadedModel, rounds: number): AsyncGenerator<ThroughputRow> {
  using grammars = openGrammars({
    tokenizer: model.tokenizer,
    vocabSize: model.decoder.vocabSize,
    eosTokenIds: model.generationConfig.eosTokenIds,
  })
  const guide = await grammars.compile({ kind: 'json_schema', schema: LONG_LIST }, 'schema')
  for (const batch of GUIDED) {
    if (batch > model.plan.slots) continue
    if (batch > MOST_ON_CPUS && model.gpu.adapter.software) continue
    const steps = DECODE_TOKENS - 1
    const times = await repeat(model, rounds, () => decodeSeconds(model, batch, guide))
    yield rowOf(`JSON by a schema, ${batch}`, batch * steps, steps, times)
  }
}

/** Seconds until the first token after a prompt that has not been seen before. */
export async function promptSeconds(
  model: LoadedModel,
  length: number,
  seed: number,
): Promise<number> {
  const prompt = randomPrompt(model.decoder.vocabSize, length, seed)
  const start = performance.now()
  for await (const _ of generate(model.engine, prompt, 1)) break
  return (performance.now() - start) / 1000
}

/** Seconds in which sequences that decode together get from their first tokens to their last. */
async function decodeSeconds(
  { engine }: LoadedModel,
  batch: number,
  guide?: GuideFactory,
): Promise<number> {
  const times = await Promise.all(
    Array.from({ length: batch }, async (_, i) => {
      let first: number | undefined
      let last = 0
      for await (const _ of generate(engine, [1, 400 + i], DECODE_TOKENS, guide)) {
        last = performance.now()
        first ??= last
      }
      return { first: first ?? last, last }
    }),
  )
  const first = Math.max(...times.map((time) => time.first))
  return (Math.max(...times.map((time) => time.last)) - first) / 1000
}

async function repeat(
  { engine }: LoadedModel,
  rounds: number,
  run: () => Promise<number>,
): Promise<number[]> {
  await run()
  const seconds: number[] = []
  for (let i = 0; i < rounds; i++) {
    await warmClocks(engine)
    seconds.push(await run())
  }
  return seconds
}

function rowOf(
  what: string,
  tokens: number,
  steps: number,
  seconds: readonly number[],
): ThroughputRow {
  const middle = median(seconds)
  return {
    what,
    median: tokens / middle,
    best: tokens / Math.min(...seconds),
    milliseconds: (middle * 1000) / steps,
  }
}
