// What the routes work with: the server's parts, given once, and the variables of one request.

import type { Engine, SamplingParams } from '../engine/request.ts'
import type { Logger } from '../log.ts'
import type { RequestRecord } from './request-record.ts'

/** What the HTTP layer needs of a tokenizer. */
export interface PromptTokenizer {
  /** Token ids of a prompt, with any beginning-of-sequence token in place. */
  encode(text: string): number[]
  /** Ids run from 0 to one less than this. */
  readonly vocabSize: number
}

/** The model that is served and the names it goes by. */
export interface ServedModel {
  /** At least one; the first is the name in replies to requests that name no model. */
  ids: readonly string[]
  /** Seconds since 1970, stable for one checkpoint. */
  created: number
  /** Most tokens of prompt and completion, shown to clients; the engine enforces it. */
  maxModelLen?: number
  /** Sampling for requests that leave it open, from the checkpoint's generation_config.json. */
  sampling?: Partial<Omit<SamplingParams, 'seed'>>
}

/** Bounds on what one client may ask for. */
export interface HttpLimits {
  /** Larger request bodies get status 413. */
  maxBodyBytes: number
  /** Most prompts in one request. */
  maxPrompts: number
  /** Sequences that may wait for a slot; beyond it requests get status 429. */
  maxQueue: number
  /** Milliseconds between the comments that keep a silent stream open. */
  pingIntervalMs: number
}

export const DEFAULT_LIMITS: HttpLimits = {
  maxBodyBytes: 4 * 2 ** 20,
  maxPrompts: 128,
  maxQueue: 1024,
  pingIntervalMs: 5000,
}

/** Everything the routes share. */
export interface ServerContext {
  engine: Engine
  tokenizer: PromptTokenizer
  model: ServedModel
  limits: HttpLimits
  log: Logger
  /** Of glaze, for fingerprints. */
  version: string
}

/** Hono's environment: the variables that every handler finds in its context. */
export interface AppEnv {
  Variables: { requestId: string; record: RequestRecord }
}
