// Finds calls of functions in the text of an answer, which may arrive in pieces. What turns out to
// be no call stays text, as it was; spaces beside a call are left out.

import type { ToolCallStyle } from '../context.ts'
import { parseObject } from './messages.ts'
import type { ToolUse } from './tools.ts'

/** Standard, but not among TypeScript's types: numbers as they were written. */
const exactJson = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): unknown
}

/** A call as OpenAI's API has it, but for its id. */
export interface FunctionCall {
  name: string
  /** The JSON text of an object. */
  arguments: string
}

/** What became certain of an answer. */
export interface AnswerPart {
  text: string
  calls: FunctionCall[]
}

/** Reads one answer. What it gives out in all does not depend on where the pieces end. */
export interface AnswerReader {
  push(piece: string): AnswerPart
  /** The rest, once no text follows. */
  finish(): AnswerPart
}

/** @param names of the functions that may be called; a call of any other is text */
export function answerReader(style: ToolCallStyle, names: ReadonlySet<string>): AnswerReader {
  switch (style) {
    case 'hermes':
      // Any number of <tool_call>{"name": …, "arguments": {…}}</tool_call>.
      return new MarkedAnswer(names, '<tool_call>', '</tool_call>')
    case 'mistral':
      // At the end [TOOL_CALLS] [{"name": …, "arguments": {…}}, …].
      return new MarkedAnswer(names, '[TOOL_CALLS]', undefined)
    case 'json':
      return new BareAnswer(names)
  }
}

/**
 * The fields of a generation whose text an `AnswerReader` can read: the mark before Mistral's calls is
 * a special token, and without it they would read as text.
 */
export function showsMarks<Body extends { skip_special_tokens: boolean }>(
  body: Body,
  use: ToolUse | undefined,
  style: ToolCallStyle,
): Body {
  const needsMarks = style === 'mistral' && use?.mode === 'auto'
  return needsMarks ? { ...body, skip_special_tokens: false } : body
}

/** Calls stand behind a mark, up to another one or to the end of the text. */
class MarkedAnswer implements AnswerReader {
  /** Spaces, the mark or what may become it, and what follows. */
  #held = ''
  /** Where the mark stands in it, once it is whole. */
  #mark: number | undefined
  #isAfterCall = false

  constructor(
    readonly names: ReadonlySet<string>,
    readonly begin: string,
    readonly end: string | undefined,
  ) {}

  push(piece: string): AnswerPart {
    const { begin, end } = this
    /** What was searched for the end mark before is not searched again. */
    let from = this.#mark === undefined ? 0 : this.#held.length - (end?.length ?? 0)
    this.#held += piece
    const part: AnswerPart = { text: '', calls: [] }
    for (;;) {
      const mark = this.#mark ?? this.#findMark(part)
      if (mark === undefined || end === undefined) return part
      const inside = mark + begin.length
      const stop = this.#held.indexOf(end, Math.max(inside, from))
      if (stop < 0) return part
      this.#close(this.#held.slice(inside, stop), this.#held.slice(0, stop + end.length), part)
      this.#held = this.#held.slice(stop + end.length)
      from = 0
    }
  }

  finish(): AnswerPart {
    const part: AnswerPart = { text: '', calls: [] }
    if (this.#mark === undefined) part.text = this.#withoutGap()
    else this.#close(this.#held.slice(this.#mark + this.begin.length), this.#held, part)
    this.#held = ''
    return part
  }

  /** Gives out the text before the next mark, and says where that stands if it has come. */
  #findMark(part: AnswerPart): number | undefined {
    this.#held = this.#withoutGap()
    const found = this.#held.indexOf(this.begin)
    const before = found < 0 ? this.#held.length - overlap(this.#held, this.begin) : found
    const text = this.#held.slice(0, before).trimEnd()
    if (text !== '') this.#isAfterCall = false
    part.text += text
    this.#held = this.#held.slice(text.length)
    this.#mark = found < 0 ? undefined : found - text.length
    return this.#mark
  }

  /** Decides about what may be calls. */
  #close(inside: string, all: string, part: AnswerPart): void {
    const calls = parseCalls(inside, this.names)
    if (calls) part.calls.push(...calls)
    else part.text += all
    this.#isAfterCall = calls !== undefined
    this.#mark = undefined
  }

  #withoutGap(): string {
    return this.#isAfterCall ? this.#held.trimStart() : this.#held
  }
}

/** The whole text is one call or a list of them. */
class BareAnswer implements AnswerReader {
  #held = ''
  #isText = false

  constructor(readonly names: ReadonlySet<string>) {}

  push(piece: string): AnswerPart {
    if (this.#isText) return { text: piece, calls: [] }
    this.#held += piece
    if (/^\s*([[{]|$)/.test(this.#held)) return { text: '', calls: [] }
    this.#isText = true
    return { text: this.#held, calls: [] }
  }

  finish(): AnswerPart {
    if (this.#isText) return { text: '', calls: [] }
    const calls = parseCalls(this.#held, this.names)
    return calls ? { text: '', calls } : { text: this.#held, calls: [] }
  }
}

/** How many characters at the end of a text begin the mark. */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(mark.slice(0, length))) return length
  }
  return 0
}

/** One call or a list of them; undefined if the text is anything else. */
function parseCalls(text: string, names: ReadonlySet<string>): FunctionCall[] | undefined {
  let value: unknown
  try {
    value = exactJson.parse(text, keepNumber)
  } catch {
    return undefined
  }
  const calls = (Array.isArray(value) ? value : [value]).map((each) => toCall(each, names))
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined
}

/** Some models say `parameters`, and some write the arguments as a text in the JSON. */
function toCall(value: unknown, names: ReadonlySet<string>): FunctionCall | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, arguments: given, parameters } = value as Record<string, unknown>
  if (typeof name !== 'string' || !names.has(name)) return undefined
  const found = given ?? parameters ?? {}
  const json = typeof found === 'string' ? found : JSON.stringify(found)
  return parseObject(json) && { name, arguments: json }
}

/** Numbers stay as they are written: ids may have more digits than a number holds. */
function keepNumber(_key: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' && source !== undefined ? exactJson.rawJSON(source) : value
}
