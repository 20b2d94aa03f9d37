// What the routes work with: the server's parts, given once, and the variables of one request.

import type { Engine, SamplingParams } from '../engine/request.ts'
import type { Grammars } from '../grammar/guide.ts'
import type { Logger } from '../log.ts'
import type { Door } from './generation/door.ts'
import type { RequestRecord } from './request-record.ts'
import type { Stored } from './responses/conversation.ts'
import type { ResponseStore } from './responses/store.ts'
import type { Connection } from './serve.ts'

/** What the HTTP layer needs of a tokenizer. */
export interface PromptTokenizer {
  /** Ids run from 0 to one less than this. */
  readonly vocabSize: number
  /** The beginning-of-sequence token, if there is one. */
  readonly bosTokenId?: number
  /** Token ids of a text; special tokens around it, as a beginning-of-sequence token, by default. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[]
  /** Text of ids; tokens like `</s>` are left out by default. */
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string
  /** What each id adds to the text of those before it; joined they are what `decode` gives. */
  pieces(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string[]
  /** A token on its own: its text, or `bytes:\xe4\xbd` if that is no whole characters. */
  display(id: number): string
  /** UTF-8 bytes that a token adds to a text; may be part of a character. */
  bytes(id: number): Uint8Array
}

/** A turn of a conversation, as templates see it. */
export interface TemplateMessage {
  role: string
  content: string
  [key: string]: unknown
}

/** A conversation to render. */
export interface Conversation {
  messages: readonly TemplateMessage[]
  /** Descriptions of functions, as in OpenAI's API. */
  tools?: readonly unknown[]
  /** End with the beginning of the assistant's next turn. */
  addGenerationPrompt: boolean
  /** Leave the last message open, so that the completion continues it. */
  continueFinalMessage: boolean
  /** More variables for the template. */
  variables?: Record<string, unknown>
  /** The field that holds the messages, for errors; `messages` by default. */
  param?: string
}

/** How functions that a model calls look in its text. */
export type ToolCallStyle = 'hermes' | 'mistral' | 'json'

/** The chat template of a checkpoint. */
export interface ChatTemplate {
  /** True if the template shows tools to the model. */
  readonly knowsTools: boolean
  readonly toolCallStyle: ToolCallStyle
  /** The text that the model continues; throws ApiError 400 if the template refuses it. */
  render(conversation: Conversation): string
  /**
   * The beginning of that text, up to `offset` UTF-16 units of one message's content. Undefined if
   * the template does not show that place. `whole`: what `render` makes of the conversation, if the
   * last message is not continued; it need not be rendered again then.
   */
  renderUpTo(
    conversation: Conversation,
    message: number,
    offset: number,
    whole?: string,
  ): string | undefined
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
  /** The commit of a model that came from a hub. */
  revision?: string
  /** The architecture, as `gla`. */
  modelType?: string
  memory?: SequenceMemory
}

/** What one sequence takes on the GPU, fixed when the server starts. */
export interface SequenceMemory {
  /** All of its slot. */
  stateBytes: number
  /** Of these: room for keys and values of softmax layers, for `maxModelLen` tokens. */
  cacheBytes: number
  /** What each token would add to the cache of a softmax model of the same shape. */
  softmaxTokenBytes: number
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
  /** Milliseconds without the end of a step after which a busy engine counts as dead. */
  healthTimeoutMs: number
  /** Responses that are kept for `previous_response_id`, and about how much memory they may take. */
  maxStoredResponses: number
  maxStoredBytes: number
}

export const DEFAULT_LIMITS: HttpLimits = {
  maxBodyBytes: 4 * 2 ** 20,
  maxPrompts: 128,
  maxQueue: 1024,
  pingIntervalMs: 5000,
  healthTimeoutMs: 120_000,
  maxStoredResponses: 1000,
  maxStoredBytes: 256 * 2 ** 20,
}

/** Everything the routes share. */
export interface ServerContext {
  engine: Engine
  tokenizer: PromptTokenizer
  grammars: Grammars
  /** Undefined if the checkpoint has none and none was given. */
  chatTemplate?: ChatTemplate
  model: ServedModel
  door: Door
  /** Those that clients may continue or fetch. */
  responses: ResponseStore<Stored>
  limits: HttpLimits
  log: Logger
  /** Of glaze, for fingerprints. */
  version: string
}

/** Hono's environment: what every handler finds in its context. */
export interface AppEnv {
  /** Undefined for requests that came over no socket. */
  Bindings: Connection
  Variables: { requestId: string; record: RequestRecord }
}
