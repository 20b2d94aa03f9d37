// What a generation says in a chat: text and calls apart, each with the tokens that they came of.

import { codePoints } from '../../code-points.ts'
import type { OutputToken } from '../../engine/request.ts'
import type { ToolCallStyle } from '../context.ts'
import type { Piece } from '../generation/samples.ts'
import { type AnswerPart, AnswerReader, type FunctionCall } from './tool-calls.ts'
import type { ToolUse } from './tools.ts'

/** A call with its id, in the form of replies. */
export interface ToolCall {
  id: string
  type: 'function'
  function: FunctionCall
}

/** A part of an answer, or all of it. */
export interface Reply extends Piece {
  calls: ToolCall[]
  /** How many calls came before these. */
  firstCall: number
  /** Code points of what was generated so far. */
  end: number
}

/** Follows one generation. Tokens wait for the text or the calls that they are part of. */
export class ReplyReader {
  readonly #reader: AnswerReader | undefined
  #tokens: OutputToken[] = []
  #calls = 0
  #end = 0

  constructor(
    readonly use: ToolUse | undefined,
    readonly style: ToolCallStyle,
  ) {
    const names = new Set(use?.callable.map((tool) => tool.function.name))
    const isForced = use?.mode === 'required' || use?.mode === 'named'
    // A grammar keeps forced calls to plain JSON, whatever the model's own style is.
    if (names.size > 0) this.#reader = new AnswerReader(isForced ? 'json' : style, names)
  }

  /** What became certain; undefined as long as there is nothing and the generation goes on. */
  add({ text, tokens, finish }: Piece): Reply | undefined {
    this.#tokens.push(...tokens)
    this.#end += codePoints(text)
    const parts = this.#read(text, finish !== undefined)
    const reply = {
      text: parts.map((part) => part.text).join(''),
      calls: this.#name(parts.flatMap(({ calls }) => calls)),
      firstCall: this.#calls,
      end: this.#end,
      finish,
    }
    if (reply.text === '' && reply.calls.length === 0 && finish === undefined) return undefined
    this.#calls += reply.calls.length
    const tokensSoFar = this.#tokens
    this.#tokens = []
    return { ...reply, tokens: tokensSoFar }
  }

  /** Whether the answer has a call so far. */
  get hasCalls(): boolean {
    return this.#calls > 0
  }

  #read(text: string, isLast: boolean): AnswerPart[] {
    if (!this.#reader) return [{ text, calls: [] }]
    const part = this.#reader.push(text)
    return isLast ? [part, this.#reader.finish()] : [part]
  }

  /** Models know nothing of `parallel_tool_calls: false`; all but the first call are left out. */
  #name(calls: readonly FunctionCall[]): ToolCall[] {
    const allowed = this.use?.isParallel ? calls.length : Math.max(0, 1 - this.#calls)
    return calls
      .slice(0, allowed)
      .map((call) => ({ id: newCallId(this.style), type: 'function', function: call }))
  }
}

/** Templates of Mistral refuse ids that are not nine letters and digits. */
function newCallId(style: ToolCallStyle): string {
  const random = crypto.randomUUID().replaceAll('-', '')
  return style === 'mistral' ? random.slice(0, 9) : `call_${random.slice(0, 24)}`
}
