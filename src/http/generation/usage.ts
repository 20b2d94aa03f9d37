// The `usage` of replies and streams: what a request cost in tokens.

import type { RequestRecord } from '../request-record.ts'

export interface Usage {
  /** Each prompt once, however many samples it got. */
  prompt_tokens: number
  /** Of all samples, also of those that `best_of` dropped. */
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details: {
    /** Prompt tokens whose state was found in the prefix cache. */
    cached_tokens: number
    /**
     * Prompt tokens whose state was kept for later requests. OpenAI's schema of `usage` has this
     * name since prompts may carry cache breakpoints; other servers fill in only the one above.
     */
    cache_write_tokens: number
  }
}

/**
 * The usage of a request as far as it is known: all of it once its generations have ended.
 * @param completionTokens those of one choice, if it is about that
 */
export function usageOf(record: RequestRecord, completionTokens = record.completionTokens): Usage {
  return {
    prompt_tokens: record.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: record.promptTokens + completionTokens,
    prompt_tokens_details: {
      cached_tokens: record.cachedTokens,
      cache_write_tokens: record.cacheWriteTokens,
    },
  }
}
