// An engine that only scores prompts, by a function of the token.

import { expect } from 'bun:test'
import type { Engine, Output } from '../../src/engine/request.ts'

/**
 * @param logprobOf log-probability of a token behind those before it; undefined: the engine fails to
 *   give scores
 */
export function scoringEngine(
  logprobOf: (id: number, before: readonly number[]) => number | undefined,
) {
  const seen: number[][] = []
  let [now, most] = [0, 0]
  const engine: Pick<Engine, 'submit'> = {
    submit: ({ id, prompt, maxTokens, promptLogprobs }) => {
      expect(maxTokens).toBe(0)
      expect(promptLogprobs).toBe(0)
      seen.push([...prompt])
      const logprobs = prompt.map((token, i) => logprobOf(token, prompt.slice(0, i)))
      const scores = prompt.map((token, i) =>
        i === 0 ? undefined : { id: token, logprob: logprobs[i]!, top: [] },
      )
      const isScored = logprobs.every((logprob) => logprob !== undefined)
      const output: Output = {
        ...{ text: '', tokens: [] },
        promptLogprobs: isScored ? scores : undefined,
      }
      return {
        id,
        promptTokens: prompt.length,
        abort: () => {},
        async *[Symbol.asyncIterator]() {
          most = Math.max(most, ++now)
          await Promise.resolve()
          now--
          yield output
        },
      }
    },
  }
  return { engine, seen, most: () => most }
}
