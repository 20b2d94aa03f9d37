// Perplexity of a text under a model: windows of tokens, scored through the engine as prompts are.
import { invariant } from '../errors.ts'
import type { Engine } from './request.ts'

/** What scoring has found so far. */
export interface Score {
  /** Tokens predicted. */
  tokens: number
  /** Sum of their negative log-probabilities, in nats. */
  nats: number
}

/** Windows that wait for the GPU at once, so that it never waits for the host. */
const AT_ONCE = 4

/**
 * Runs of `length` + 1 ids, the last of each being the first of the next: the first id of a window is
 * only context, all others are predicted, and every id of the text but the first is predicted once.
 * What is left at the end is dropped, unless it is all there is.
 */
export function cutWindows(ids: readonly number[], length: number): number[][] {
  const count = Math.max(1, Math.floor((ids.length - 1) / length))
  return Array.from({ length: count }, (_, i) => ids.slice(i * length, (i + 1) * length + 1))
}

/**
 * Scores windows, each from an empty state.
 * @param onProgress told after each window
 * @throws ApiError for a window that the engine cannot take
 */
export async function scoreWindows(
  engine: Engine,
  windows: readonly (readonly number[])[],
  onProgress: (done: Score) => void = () => {},
): Promise<Score> {
  const total: Score = { tokens: 0, nats: 0 }
  const queue = windows.entries()
  const work = async () => {
    for (const [index, window] of queue) {
      const nats = await negativeLogLikelihood(engine, window, `window ${index}`)
      total.nats += nats
      total.tokens += window.length - 1
      onProgress(total)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return total
}

/** Nats of all ids of a window but the first. */
async function negativeLogLikelihood(
  engine: Engine,
  prompt: readonly number[],
  id: string,
): Promise<number> {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  const request = { id, prompt, maxTokens: 0, sampling, stop: [], promptLogprobs: 0 }
  for await (const { promptLogprobs } of engine.submit(request)) {
    if (promptLogprobs === undefined) continue
    return promptLogprobs.slice(1).reduce((nats, token) => nats - token!.logprob, 0)
  }
  invariant(false, `${id} ended without scores`)
}
