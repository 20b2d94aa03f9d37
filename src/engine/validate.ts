// What the engine refuses before a request takes its place in the queue.
import { ApiError } from '../errors.ts'
import { MAX_TOP } from '../gpu/step.ts'
import type { GenerationRequest } from './request.ts'

/** @throws ApiError 400 if the request can never run on a model of so many tokens */
export function checkRequest(request: GenerationRequest, vocabSize: number): void {
  const { prompt, cacheBreakpoints = [] } = request
  if (prompt.length === 0) {
    throw new ApiError(400, 'prompt holds no tokens; at least 1 is needed', { param: 'prompt' })
  }
  const foreign = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize)
  if (foreign !== undefined) {
    throw new ApiError(400, `prompt holds token id ${foreign}; ids are 0 to ${vocabSize - 1}`, {
      param: 'prompt',
    })
  }
  checkLogprobs(request.logprobs, 'logprobs')
  checkLogprobs(request.promptLogprobs, 'prompt_logprobs')
  const beyond = cacheBreakpoints.find((cut) => !(cut >= 1 && cut <= prompt.length))
  if (beyond !== undefined) {
    throw new ApiError(400, `cache breakpoint ${beyond}: positions are 1 to ${prompt.length}`, {
      param: 'prompt_cache_breakpoint',
    })
  }
}

/** @throws ApiError 400 for more log-probabilities than a row of results holds */
export function checkLogprobs(count: number | undefined, param: string): void {
  if (count === undefined || (Number.isInteger(count) && count >= 0 && count <= MAX_TOP)) return
  const message = `${param}: expected a whole number from 0 to ${MAX_TOP}, found ${count}`
  throw new ApiError(400, message, { param })
}

/**
 * Tokens that may follow a context. As in vLLM a completion is cut to what is left, only the context
 * itself is refused.
 * @param maxLength most tokens of both together; undefined: no bound
 * @param name what the context is, for the error
 * @throws ApiError 400 if no token can follow
 */
export function boundTokens(
  maxTokens: number,
  context: number,
  maxLength: number | undefined,
  name: string,
): number {
  if (maxLength === undefined) return maxTokens
  const left = maxLength - context
  if (left < Math.min(maxTokens, 1)) {
    const message = `${name} has ${context} tokens; the model takes ${maxLength} with the completion`
    throw new ApiError(400, message, { param: 'prompt', code: 'context_length_exceeded' })
  }
  return Math.min(maxTokens, left)
}
