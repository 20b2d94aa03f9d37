// Finds calls of functions in the text of an answer, which may arrive in pieces. What turns out to
// be no call stays text, as it was; spaces beside a call are left out.

import type { ToolCallStyle } from '../context.ts'
import { type Block, JsonBlock, joined, TaggedBlock } from './call-blocks.ts'
import type { ToolUse } from './tools.ts'

/** Most spaces before a call that are left out; more than these are text. */
const MAX_GAP = 64

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

/** How calls stand in a text. */
interface CallFormat {
  /** Stands before what may be calls. Empty: these stand at the beginning and after one another. */
  mark: string
  /** What follows the mark. */
  open(): Block
}

const FORMATS: Record<ToolCallStyle, CallFormat> = {
  // Any number of <tool_call>{"name": …, "arguments": {…}}</tool_call>.
  hermes: { mark: '<tool_call>', open: () => new TaggedBlock('</tool_call>') },
  // [TOOL_CALLS] [{"name": …, "arguments": {…}}, …]. What ends the answer may be shown behind it.
  mistral: { mark: '[TOOL_CALLS]', open: () => new JsonBlock() },
  // One call or a list of them, and nothing before it.
  json: { mark: '', open: () => new JsonBlock() },
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

/**
 * Reads one answer. What it gives out in all does not depend on where the pieces end, and the time it
 * takes grows as the text does.
 */
export class AnswerReader {
  readonly #format: CallFormat
  /** Of the functions that may be called; a call of any other is text. */
  readonly #names: ReadonlySet<string>
  /** Spaces, and the mark or what may become it; short. */
  #held = ''
  /** What follows the mark, once it is whole. */
  #block: Block | undefined
  /** What was given out last. */
  #last: 'nothing' | 'text' | 'calls' = 'nothing'

  constructor(style: ToolCallStyle, names: ReadonlySet<string>) {
    this.#format = FORMATS[style]
    this.#names = names
  }

  push(piece: string): AnswerPart {
    const part: AnswerPart = { text: '', calls: [] }
    let rest: string | undefined = piece
    while (rest !== undefined) rest = this.#block ? this.#fill(rest, part) : this.#seek(rest, part)
    return part
  }

  /** The rest, once no text follows. */
  finish(): AnswerPart {
    const part: AnswerPart = { text: '', calls: [] }
    if (this.#block) this.#decide(this.#block, part)
    else this.#give(this.#held, part)
    this.#held = ''
    return part
  }

  /** Reads up to the end of the next mark and returns what follows it; undefined if none has come. */
  #seek(piece: string, part: AnswerPart): string | undefined {
    const { mark, open } = this.#format
    if (mark === '' && this.#last === 'text') {
      part.text += piece
      return undefined
    }
    const text = joined(this.#held, piece)
    const found = mark === '' ? text.search(/\S/) : text.indexOf(mark)
    const before = found < 0 ? text.length - overlap(text, mark) : found
    const gap = gapBefore(text, before)
    this.#give(text.slice(0, gap), part)
    const after = found < 0 ? text.length : found + mark.length
    this.#held = text.slice(this.#last === 'calls' ? before : gap, after)
    if (found < 0) return undefined
    this.#block = open()
    return text.slice(after)
  }

  /** Reads what follows a mark and returns what comes after that; undefined if it goes on. */
  #fill(piece: string, part: AnswerPart): string | undefined {
    const rest = this.#block?.push(piece)
    if (this.#block && rest !== undefined) this.#decide(this.#block, part)
    return rest
  }

  /** Says whether what followed a mark are calls. */
  #decide({ inside, text }: Block, part: AnswerPart): void {
    const calls = parseCalls(inside, this.#names)
    if (calls) {
      part.calls.push(...calls)
      this.#last = 'calls'
    } else this.#give(this.#held + text, part)
    this.#held = ''
    this.#block = undefined
  }

  #give(text: string, part: AnswerPart): void {
    // Spaces after a call are none of the text that may follow.
    const shown = this.#last === 'calls' ? text.trimStart() : text
    if (shown === '') return
    part.text += shown
    if (shown.trim() !== '') this.#last = 'text'
  }
}

/** Where the spaces begin that may be left out before a place. */
function gapBefore(text: string, place: number): number {
  return Math.max(text.slice(0, place).trimEnd().length, place - MAX_GAP)
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
  try {
    const value = exactJson.parse(text, keepNumber)
    const calls = (Array.isArray(value) ? value : [value]).map((each) => toCall(each, names))
    return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined
  } catch {
    // No JSON, or nested too deep.
    return undefined
  }
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

/** The object of a JSON text; undefined if it is anything else. */
export function parseObject(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {}
  return undefined
}

/** Numbers stay as they are written: ids may have more digits than a number holds. */
function keepNumber(_key: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' && source !== undefined ? exactJson.rawJSON(source) : value
}
