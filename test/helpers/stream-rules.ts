// What no schema says of a stream: in which order its events come, and how it may end.

import {
  expectChatChunk,
  expectCompletionChunk,
  expectError,
  expectResponseEvent,
} from './openai-schema.ts'

/** Follows the events of one stream and throws at the first that breaks a rule. */
export interface Rules {
  /** An event's JSON, and its name if the frame has one. */
  event(json: unknown, name?: string): void
  /** `[DONE]` came. */
  done(): void
  /** The stream ended. */
  end(): void
}

interface Chunk {
  id: string
  choices: {
    index: number
    text?: string
    delta?: { role?: string; content?: string | null }
    finish_reason: string | null
  }[]
  usage?: object | null
  error?: unknown
}

function fail(rule: string, json?: unknown): never {
  throw new Error(`broken stream: ${rule}${json === undefined ? '' : `: ${JSON.stringify(json)}`}`)
}

/**
 * Completions and chats: one id; a role in the first chunk of a chat's choice and nowhere else; a
 * last chunk per choice, which has a finish reason and no text; then the usage, if asked for; then
 * `[DONE]`. Or an error event and nothing but perhaps `[DONE]` after it.
 */
export class CompletionRules implements Rules {
  readonly #options: { chat: boolean; echo: boolean; includesUsage: boolean }
  readonly #begun = new Set<number>()
  readonly #finished = new Set<number>()
  #id: string | undefined
  #hasUsage = false
  #hasFailed = false
  #isDone = false

  constructor(options: { chat: boolean; echo: boolean; includesUsage: boolean }) {
    this.#options = options
  }

  event(json: unknown): void {
    if (this.#isDone || this.#hasFailed) fail('an event after the end', json)
    const chunk = json as Chunk
    if (chunk.error !== undefined) {
      expectError(json)
      this.#hasFailed = true
      return
    }
    if (this.#options.chat) expectChatChunk(json)
    else expectCompletionChunk(json, this.#options)
    this.#id ??= chunk.id
    if (chunk.id !== this.#id) fail(`a second id beside ${this.#id}`, json)
    if (this.#hasUsage) fail('an event after the usage', json)
    if (chunk.choices.length === 0) this.#takeUsage(chunk)
    for (const choice of chunk.choices) this.#takeChoice(choice)
  }

  #takeUsage(chunk: Chunk): void {
    if (!this.#options.includesUsage || !chunk.usage) fail('a chunk without choices', chunk)
    if (this.#finished.size < this.#begun.size) fail('usage before all choices ended', chunk)
    this.#hasUsage = true
  }

  #takeChoice(choice: Chunk['choices'][number]): void {
    const { index, delta } = choice
    if (this.#finished.has(index)) fail('a chunk of a choice that has ended', choice)
    if (this.#options.chat) {
      const isFirst = !this.#begun.has(index)
      if (isFirst !== (delta?.role === 'assistant')) fail('role beyond the first chunk', choice)
    }
    this.#begun.add(index)
    if (choice.finish_reason === null) return
    this.#finished.add(index)
    if (choice.text) fail('text beside the finish reason', choice)
    if (delta !== undefined && 'content' in delta) fail('content in the last chunk', choice)
  }

  done(): void {
    if (this.#isDone) fail('a second [DONE]')
    this.#isDone = true
    if (this.#hasFailed) return
    if (this.#begun.size === 0) fail('[DONE] without a choice')
    if (this.#finished.size < this.#begun.size) fail('[DONE] before all choices ended')
    if (this.#options.includesUsage && !this.#hasUsage) fail('[DONE] before the usage')
  }

  end(): void {
    if (!this.#isDone && !this.#hasFailed) fail('neither [DONE] nor an error at the end')
  }
}

/**
 * Responses: numbered events named by their type, from `created` to one of three ends or an error;
 * an error may also follow on the end that says that the response failed.
 */
export class ResponseRules implements Rules {
  #next = 0
  #end: string | undefined

  event(json: unknown, name?: string): void {
    expectResponseEvent(json)
    const { type, sequence_number: number } = json as { type: string; sequence_number: number }
    const explains = this.#end === 'response.failed' && type === 'error'
    if (this.#end !== undefined && !explains) fail('an event after the end', json)
    if (name !== type) fail(`the event is called ${name}`, json)
    if (number !== this.#next) fail(`event ${this.#next} is missing`, json)
    if ((number === 0) !== (type === 'response.created')) fail('created is not the first', json)
    this.#next++
    if (/^(response\.(completed|incomplete|failed)|error)$/.test(type)) this.#end = type
  }

  done(): void {
    if (this.#end === undefined) fail('[DONE] before the last event')
  }

  end(): void {
    if (this.#end === undefined) fail('no last event')
  }
}
