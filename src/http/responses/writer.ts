// Builds the output of a response part by part and tells each step as an event. A reply that is
// not streamed is built the same way; nobody listens to its events.

import type { ErrorBody } from '../../errors.ts'
import type { ToolCall } from '../chat/replies.ts'
import { newId } from './items.ts'
import {
  type AnswerToken,
  callItem,
  type MessageItem,
  messageItem,
  type Outcome,
  type OutputItem,
  outputText,
  type ResponseFrame,
  type ResponseObject,
  type ResponseUsage,
  responseObject,
} from './response.ts'

/** An event of a stream; `type` is its name, too. */
export type ResponseEvent = { type: string; sequence_number: number } & Record<string, unknown>

interface OpenMessage {
  item: MessageItem
  text: string
  logprobs: AnswerToken[]
}

export class ResponseWriter {
  readonly #frame: ResponseFrame
  readonly #send: (event: ResponseEvent) => void
  readonly #output: OutputItem[] = []
  /** The message that text is added to; the last item while it is open. */
  #open: OpenMessage | undefined
  #sequence = 0

  constructor(frame: ResponseFrame, send: (event: ResponseEvent) => void) {
    this.#frame = frame
    this.#send = send
  }

  start(): void {
    const response = this.#object({ status: 'in_progress', output: [] })
    this.#tell('response.created', { response })
    this.#tell('response.in_progress', { response })
  }

  /**
   * Text of the answer with its tokens, if they were asked for. Tokens without text go with the text
   * before them; if there is none, nothing has begun that they could be part of.
   */
  addText(delta: string, logprobs: AnswerToken[]): void {
    if (delta === '' && (logprobs.length === 0 || this.#open === undefined)) return
    this.#open ??= this.#openMessage()
    const { item } = this.#open
    this.#open.text += delta
    this.#open.logprobs.push(...logprobs)
    this.#tell('response.output_text.delta', { ...this.#placeOf(item), delta, logprobs })
  }

  /** A call of a function, which is known as a whole. */
  addCall(call: ToolCall): void {
    this.#closeMessage('completed')
    const item = callItem(call, 'completed')
    const begun = { ...item, status: 'in_progress' as const, arguments: '' }
    const place = { item_id: item.id, output_index: this.#output.length }
    const { output_index } = place
    this.#tell('response.output_item.added', { output_index, item: begun })
    const { arguments: args } = item
    this.#tell('response.function_call_arguments.delta', { ...place, delta: args })
    this.#tell('response.function_call_arguments.done', {
      ...{ ...place, name: item.name, arguments: args },
    })
    this.#tell('response.output_item.done', { output_index, item })
    this.#output.push(item)
  }

  /** Ends the response; `incomplete` if the limit of tokens cut it. */
  finish(status: 'completed' | 'incomplete', usage: ResponseUsage): ResponseObject {
    // An answer without text is a message without text, not none.
    if (this.#output.length === 0) this.#open ??= this.#openMessage()
    this.#closeMessage(status)
    const response = this.#object({ status, output: this.#output, usage })
    this.#tell(`response.${status}`, { response })
    return response
  }

  /** Ends it by a fault: one event for the response and one that clients throw. */
  fail(error: ErrorBody['error']): void {
    this.#closeMessage('incomplete')
    const { message } = error
    const isOurs = error.type !== 'invalid_request_error'
    const response = this.#object({
      status: 'failed',
      output: this.#output,
      // Of OpenAI's codes the two that say whose fault it is.
      error: { code: isOurs ? 'server_error' : 'invalid_prompt', message },
    })
    this.#tell('response.failed', { response })
    this.#tell('error', { code: error.code, message, param: error.param })
  }

  #openMessage(): OpenMessage {
    const item = messageItem(newId('msg'), 'in_progress', [])
    this.#output.push(item)
    this.#tell('response.output_item.added', { output_index: this.#output.length - 1, item })
    this.#tell('response.content_part.added', { ...this.#placeOf(item), part: outputText('', []) })
    return { item, text: '', logprobs: [] }
  }

  #closeMessage(status: 'completed' | 'incomplete'): void {
    if (this.#open === undefined) return
    const { item, text, logprobs } = this.#open
    this.#open = undefined
    const place = this.#placeOf(item)
    const part = outputText(text, logprobs)
    this.#tell('response.output_text.done', { ...place, text, logprobs })
    this.#tell('response.content_part.done', { ...place, part })
    const done = messageItem(item.id, status, [part])
    this.#output[place.output_index] = done
    this.#tell('response.output_item.done', { output_index: place.output_index, item: done })
  }

  /** Where the text of a message is. It is the last item while it is open. */
  #placeOf(item: MessageItem) {
    return { item_id: item.id, output_index: this.#output.length - 1, content_index: 0 }
  }

  #object(outcome: Outcome): ResponseObject {
    return responseObject(this.#frame, { ...outcome, output: [...outcome.output] })
  }

  #tell(type: string, fields: Record<string, unknown>): void {
    this.#send({ type, sequence_number: this.#sequence++, ...fields })
  }
}
