// What the engine takes and gives: a request of token ids, and a stream of outputs.

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
  /** Go on after an end-of-sequence token. */
  ignoreEos?: boolean
  /** Alternatives to report beside each generated token (0: the chosen one only); undefined: none. */
  logprobs?: number
  /** The same for prompt tokens. */
  promptLogprobs?: number
}

/** A token with its log-probability under the unfiltered distribution, in nats. */
export interface TokenLogprob {
  id: number
  logprob: number
}

/** One generated token. */
export interface OutputToken extends Partial<TokenLogprob> {
  id: number
  /** The most likely tokens, best first, if asked for. */
  top?: TokenLogprob[]
}

/** One prompt token; the first has no log-probability. */
export type PromptLogprob = (TokenLogprob & { top: TokenLogprob[] }) | undefined

/** Why a generation ended: a stop string or end-of-sequence token, or the token limit. */
export type FinishReason = 'stop' | 'length'

/** What became known since the output before it. */
export interface Output {
  /** Text that can no longer change or turn out to be part of a stop string; may be empty. */
  text: string
  tokens: OutputToken[]
  /** Set on the first output of a request that asked for them: one entry per prompt token. */
  promptLogprobs?: PromptLogprob[]
  /** Set on the last output. */
  finish?: { reason: FinishReason; stop?: string | number }
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
  /** Undefined while the engine works; else why it does not. */
  fault: string | undefined
}
