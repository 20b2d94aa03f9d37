// From a checked body to the requests that the engine gets, and the door before it.

import type { GenerationRequest } from '../engine/request.ts'
import { ApiError } from '../errors.ts'
import type { ServerContext } from './context.ts'
import { badField } from './field-errors.ts'
import { encodePrompt, type Prompt } from './prompts.ts'
import { sampleSeed, toSampling } from './sampling-fields.ts'
import type { CompletionBody } from './schemas.ts'

/**
 * Turns a request away while that is cheap: before its prompts are tokenized. Throws ApiError 400
 * if it could never be admitted, 429 if the queue is full now.
 */
export function admit(prompts: number, body: CompletionBody, server: ServerContext): void {
  const generations = prompts * body.best_of
  const { maxQueue } = server.limits
  const { slots, freeSlots, waiting } = server.engine.stats()
  const room = slots + maxQueue
  if (generations > room) {
    const samples = body.best_of > body.n ? 'best_of' : 'n'
    throw new ApiError(
      400,
      `prompts times ${samples} is ${generations}; at most ${room} are allowed`,
      { param: prompts > 1 ? 'prompt' : samples },
    )
  }
  if (waiting + generations > freeSlots + maxQueue) {
    throw new ApiError(429, `the queue is full: ${waiting} sequences are waiting`, {
      code: 'queue_full',
      retryAfter: 1,
    })
  }
}

/**
 * The engine's requests: for each prompt, in order, one per sample. Tokenizes; throws ApiError 400
 * for a prompt without tokens or one that is shorter than a cache breakpoint.
 */
export function toRequests(
  id: string,
  prompts: readonly Prompt[],
  body: CompletionBody,
  server: ServerContext,
): GenerationRequest[][] {
  const sampling = toSampling(body, server.model.sampling)
  const cacheBreakpoints = [...new Set(body.prompt_cache_breakpoint)].sort((a, b) => a - b)
  return prompts.map((given, promptIndex) => {
    const param = prompts.length === 1 ? 'prompt' : `prompt.${promptIndex}`
    const prompt = encodePrompt(given, param, server.tokenizer)
    checkBreakpoints(cacheBreakpoints, prompt.length, param)
    return Array.from({ length: body.best_of }, (_, sample) => ({
      id: `${id}-${promptIndex * body.best_of + sample}`,
      prompt,
      maxTokens: body.max_tokens,
      sampling: { ...sampling, seed: sampleSeed(body.seed, sample) },
      stop: body.stop,
      ignoreEos: body.ignore_eos,
      // Ranking needs the log-probability of each chosen token.
      logprobs: body.best_of > body.n ? 0 : undefined,
      priority: body.priority,
      cacheSalt: body.cache_salt,
      cacheBreakpoints,
    }))
  })
}

function checkBreakpoints(positions: readonly number[], length: number, prompt: string): void {
  const beyond = positions.find((position) => position > length)
  if (beyond === undefined) return
  const expected = `at most ${length}, the number of tokens of ${prompt}`
  throw badField('prompt_cache_breakpoint', expected, beyond)
}
