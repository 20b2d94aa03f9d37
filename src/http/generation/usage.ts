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

/** The usage of a request whose generations have ended. */
export function usageOf(record: RequestRecord): Usage {
  return {
    prompt_tokens: record.promptTokens,
    completion_tokens: record.completionTokens,
    total_tokens: record.promptTokens + record.completionTokens,
    prompt_tokens_details: {
      cached_tokens: record.cachedTokens,
      cache_write_tokens: record.cacheWriteTokens,
    },
  }
}
