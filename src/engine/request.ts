// What the engine takes and gives: a request of token ids, and a stream of outputs.

import type { GuideFactory } from '../grammar/guide.ts'

/** How the next token is chosen. Neutral values switch a filter off. */
export interface SamplingParams {
  /** 0 is greedy; otherwise logits are divided by it. */
  temperature: number
  /** Keep the smallest set of best tokens whose probability reaches this; 1 is off. */
  topP: number
  /** Keep this many best tokens; 0 is off. */
  topK: number
  /** Drop tokens less likely than this share of the best one; 0 is off. */
  minP: number
  /** Same seed, same prompt, same text; undefined draws a random one. */
  seed: number | undefined
  /** Divides positive and multiplies negative logits of tokens seen so far; 1 (if left out) is off. */
  repetitionPenalty?: number
  /** Taken off the logits of tokens that were generated; 0 is off. */
  presencePenalty?: number
  /** The same for each time that a token was generated; 0 is off. */
  frequencyPenalty?: number
  /** Added to the logits of these token ids. */
  logitBias?: ReadonlyMap<number, number>
  /** Nothing but these ids is generated; undefined allows all. */
  allowedTokenIds?: readonly number[]
  /** These ids are never generated. */
  bannedTokenIds?: readonly number[]
  /** None of these runs of ids is generated; one that begins in the prompt may be completed. */
  bannedSequences?: readonly (readonly number[])[]
}

/** One prompt to continue. */
export interface GenerationRequest {
  /** Id for logs, for example `cmpl-…-0`. */
  id: string
  /** Token ids with any beginning-of-sequence token already in place; at least one. */
  prompt: readonly number[]
  /** Most tokens to generate; 0 only scores the prompt. */
  maxTokens: number
  sampling: SamplingParams
  /** Generation ends before the first of these in the text. */
  stop: readonly string[]
  /** Keep the stop string, or what the ending token says, in the text. */
  includeStop?: boolean
  /** Any of these ids ends the generation, too, whatever `ignoreEos` says. */
  stopTokenIds?: readonly number[]
  /** Go on after an end-of-sequence token. */
  ignoreEos?: boolean
  /**
   * Until so many tokens are generated nothing but `maxTokens` or the end of a grammar ends the
   * generation: tokens that would are not drawn, and stop strings completed by then are text.
   */
  minTokens?: number
  /** Leave tokens like `</s>` out of the text; true if left out. */
  skipSpecialTokens?: boolean
  /** Keeps the text within a grammar; its guide is disposed when the generation ends. */
  guide?: GuideFactory
  /** Alternatives to report beside each generated token (0: the chosen one only); undefined: none. */
  logprobs?: number
  /** The same for prompt tokens. */
  promptLogprobs?: number
  /** Lower goes first; equal ones in order of arrival. 0 if left out. */
  priority?: number
  /** Another sample of this generation's prompt, which is equal: it is computed once for both. */
  sampleOf?: Generation
  /** Prefix states are shared among requests of one salt only. */
  cacheSalt?: string
  /** Prompt positions, in tokens, where the state is to be kept; each from 1 to the prompt's length. */
  cacheBreakpoints?: readonly number[]
}

/** A token with its log-probability under the unfiltered distribution, in nats. */
export interface TokenLogprob {
  id: number
  logprob: number
}

/** One generated token. */
export interface OutputToken extends Partial<TokenLogprob> {
  id: number
  /** Code points of the generated text before it; a stop string may have cut the text before. */
  offset: number
  /** The most likely tokens, best first, if asked for. */
  top?: TokenLogprob[]
}

/** One prompt token; the first has no log-probability. */
export type PromptLogprob = (TokenLogprob & { top: TokenLogprob[] }) | undefined

/** Why a generation ended: a stop string, a stop token or the end of its grammar, or the limit. */
export type FinishReason = 'stop' | 'length'

/** What became known since the output before it. */
export interface Output {
  /** Text that can no longer change or turn out to be part of a stop string; may be empty. */
  text: string
  tokens: OutputToken[]
  /** Set on the first output of a request that asked for them: one entry per prompt token. */
  promptLogprobs?: PromptLogprob[]
  /** Set on the last output. */
  finish?: {
    reason: FinishReason
    /** The stop string or token, if one ended it. */
    stop?: string | number
  }
  /** Set on the last output. */
  cache?: CacheUse
  /** Milliseconds from its arrival to its slot; set on the last output. */
  queuedMs?: number
}

/** What the prefix cache did for one request, in prompt tokens. */
export interface CacheUse {
  /** Tokens whose state was found or shared and not computed again. */
  read: number
  /** Tokens beyond those up to the longest prefix whose state was kept for later requests. */
  written: number
}

/** A running request. Iterate it once; leaving the loop early aborts it. */
export interface Generation extends AsyncIterable<Output> {
  readonly id: string
  readonly promptTokens: number
  /** Frees the slot at once, wherever the request is; the iteration ends without a finish. */
  abort(): void
}

/** What the HTTP layer needs of the engine; tests put a small fake in its place. */
export interface Engine {
  /** Queues a request; throws ApiError if it can never run. */
  submit(request: GenerationRequest): Generation
  /** Counts for /health, logs and tests. */
  stats(): EngineStats
}

export interface EngineStats {
  slots: number
  freeSlots: number
  waiting: number
  running: number
  /** Samples and forks that took over a computed state, since the start. */
  forks: number
  prefixCache: PrefixCacheStats
  /** Milliseconds since the GPU finished a step, while it works on one; 0 if it has nothing to do. */
  silentMs: number
  /** Undefined while the engine works; else why it does not. */
  fault: string | undefined
  /** Whether the fault is that the device is gone, which only another process can mend. */
  isDeviceLost: boolean
}

/** The first three are of now, the others count since the start. */
export interface PrefixCacheStats {
  snapshots: number
  gpuBytes: number
  hostBytes: number
  /** Lookups that found a prefix, and those that did not. */
  hits: number
  misses: number
  /** Prompt tokens that were not computed. */
  readTokens: number
  /** Snapshots taken, moved to host memory, and dropped. */
  written: number
  demoted: number
  evicted: number
}
