// Log-probabilities of given tokens under a model, through the engine, as prompts are scored.

import type { Engine } from '../engine/request.ts'
import { invariant } from '../errors.ts'

/**
 * Scores prompts, each from an empty state.
 * @param atOnce prompts that wait for the GPU together, so that it never waits for the host
 * @param onScore told of each prompt, in any order, the log-probabilities (nats) of all of its tokens
 *   but the first
 * @throws ApiError for a prompt that the engine cannot take
 */
export async function scorePrompts(
  engine: Pick<Engine, 'submit'>,
  prompts: readonly (readonly number[])[],
  atOnce: number,
  onScore: (index: number, logprobs: number[]) => void,
): Promise<void> {
  const queue = prompts.entries()
  const work = async () => {
    for (const [index, prompt] of queue) onScore(index, await score(engine, prompt, index))
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

async function score(
  engine: Pick<Engine, 'submit'>,
  prompt: readonly number[],
  index: number,
): Promise<number[]> {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  const id = `prompt ${index}`
  const request = { id, prompt, maxTokens: 0, sampling, stop: [], promptLogprobs: 0 }
  for await (const { promptLogprobs } of engine.submit(request)) {
    if (promptLogprobs === undefined) continue
    return promptLogprobs.slice(1).map((token) => token!.logprob)
  }
  invariant(false, `${id} ended without scores`)
}
