// The choices of a chat reply, and the chunks of a streamed one.

import type { PromptTokenizer } from '../context.ts'
import { tokenNames } from '../generation/logprobs.ts'
import { stopReason } from '../generation/samples.ts'
import { type ChatLogprobs, chatLogprobs, tokensOfText } from './logprobs.ts'
import type { Reply, ToolCall } from './replies.ts'
import type { ChatBody } from './schema.ts'
import type { ToolUse } from './tools.ts'

export type ChatFinishReason = 'stop' | 'length' | 'tool_calls'

/** What whole choices and chunks have in common. */
interface ChoiceEnds {
  index: number
  logprobs: ChatLogprobs | null
  finish_reason: ChatFinishReason | null
  /** The stop string or stop token that ended the text. */
  stop_reason: string | number | null
  /** With `return_token_ids`. */
  token_ids?: readonly number[]
}

export interface ChatChoice extends ChoiceEnds {
  message: {
    role: 'assistant'
    /** Null if there is nothing beside calls. */
    content: string | null
    refusal: null
    tool_calls?: ToolCall[]
  }
}

export interface ChatChunk extends ChoiceEnds {
  delta: {
    role?: 'assistant'
    content?: string
    tool_calls?: (ToolCall & { index: number })[]
  }
}

/** Writes choices, as far as the client asked for their parts. */
export class ChatWriter {
  readonly #name: (id: number) => string

  constructor(
    readonly body: ChatBody,
    readonly use: ToolUse | undefined,
    readonly tokenizer: PromptTokenizer,
  ) {
    this.#name = tokenNames(tokenizer, body.return_tokens_as_token_ids)
  }

  /** A whole choice. */
  choice(index: number, reply: Reply): ChatChoice {
    const hasCalls = reply.calls.length > 0
    return {
      index,
      message: {
        role: 'assistant',
        content: hasCalls && reply.text === '' ? null : reply.text,
        refusal: null,
        ...(hasCalls && { tool_calls: reply.calls }),
      },
      ...this.#ends(reply, hasCalls),
    }
  }

  /** The chunk that begins a choice, before anything is known of it. */
  opening(index: number): ChatChunk {
    return {
      index,
      delta: { role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
      stop_reason: null,
    }
  }

  /**
   * The chunks of a part: one with its text and calls, and one that ends the choice if it is the
   * last. `hasCalls`: whether there are calls so far.
   */
  chunks(index: number, reply: Reply, hasCalls: boolean): ChatChunk[] {
    const { text, calls, firstCall, finish } = reply
    const chunks: ChatChunk[] = []
    if (text !== '' || calls.length > 0) {
      const delta = {
        ...(text !== '' && { content: text }),
        ...(calls.length > 0 && {
          tool_calls: calls.map((call, nth) => ({ index: firstCall + nth, ...call })),
        }),
      }
      const open = { finish_reason: null, stop_reason: null }
      chunks.push({ index, delta, ...this.#ends(reply, hasCalls), ...open })
    }
    if (finish === undefined) return chunks
    // Tokens that brought no text, as special ones do, come with the end.
    const rest = chunks.length > 0 ? { ...reply, tokens: [] } : reply
    const ends = this.#ends(rest, hasCalls)
    const logprobs = ends.logprobs?.content.length ? ends.logprobs : null
    return [...chunks, { index, delta: {}, ...ends, logprobs }]
  }

  #ends(reply: Reply, hasCalls: boolean): Omit<ChoiceEnds, 'index'> {
    const { body } = this
    return {
      logprobs: this.#logprobs(reply),
      finish_reason: this.#finishReason(reply, hasCalls),
      stop_reason: stopReason(reply, body.stop_token_ids),
      ...(body.return_token_ids && { token_ids: reply.tokens.map(({ id }) => id) }),
    }
  }

  #logprobs(reply: Reply): ChatLogprobs | null {
    const { logprobs, top_logprobs: count, include_stop_str_in_output: includesStop } = this.body
    if (!logprobs) return null
    return chatLogprobs(tokensOfText(reply, includesStop), count, this.tokenizer, this.#name)
  }

  /** As at OpenAI a call that the client named ends with `stop`: the model chose nothing. */
  #finishReason({ finish }: Reply, hasCalls: boolean): ChatFinishReason | null {
    const isChosen = hasCalls && this.use?.mode !== 'named'
    if (finish?.reason === 'stop' && isChosen) return 'tool_calls'
    return finish?.reason ?? null
  }
}
