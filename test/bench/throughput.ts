// Prompts and sequences that decode together, timed as a caller of the engine sees them.
import type { GlazeEngine } from '../../src/engine/engine.ts'
import type { GuideFactory } from '../../src/grammar/guide.ts'
import { type BenchModel, generate, randomPrompt, warmClocks } from './load.ts'

/**
 * Seconds of each of `rounds` runs, on warm clocks, after a run that does not count. The engine that
 * warms them must be the one that runs: steps of another could still be on the GPU.
 */
export async function repeat(
  warmed: Parameters<typeof warmClocks>[0],
  rounds: number,
  run: () => Promise<number>,
): Promise<number[]> {
  await run()
  const seconds: number[] = []
  for (let i = 0; i < rounds; i++) {
    await warmClocks(warmed)
    seconds.push(await run())
  }
  return seconds
}

/** Seconds until the first token after a prompt that has not been seen before. */
export async function promptSeconds(
  { model }: Pick<BenchModel, 'model'>,
  length: number,
  seed: number,
): Promise<number> {
  const prompt = randomPrompt(model.decoder.vocabSize, length, seed)
  const start = performance.now()
  for await (const _ of generate(model.engine, prompt, 1)) break
  return (performance.now() - start) / 1000
}

/**
 * Seconds in which sequences that decode together get from their first tokens to their last:
 * `tokens` - 1 steps.
 */
export async function decodeSeconds(
  engine: GlazeEngine,
  sequences: number,
  tokens: number,
  guide?: GuideFactory,
): Promise<number> {
  const times = await Promise.all(
    Array.from({ length: sequences }, async (_, i) => {
      let first: number | undefined
      let last = 0
      for await (const _ of generate(engine, [1, 400 + i], tokens, guide)) {
        last = performance.now()
        first ??= last
      }
      return { first: first ?? last, last }
    }),
  )
  const first = Math.max(...times.map((time) => time.first))
  return (Math.max(...times.map((time) => time.last)) - first) / 1000
}
