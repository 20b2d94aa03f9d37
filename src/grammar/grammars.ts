// Structured output for one model: specifications to guides, by way of a cache of compiled grammars.

import { readEbnf } from './ebnf-reader.ts'
import { writeEbnf } from './ebnf-writer.ts'
import { choice, type Grammar, text } from './expression.ts'
import type { GrammarSpec, Grammars, GuideFactory } from './guide.ts'
import { MAX_GRAMMAR, MAX_OPTIONS, MAX_SOURCE } from './limits.ts'
import { type GrammarSource, MaskEngine } from './mask-engine.ts'
import { asApiError, Guide } from './mask-guide.ts'
import { prune } from './prune.ts'
import { Refusal, refuse } from './refusal.ts'
import { wholeRegex } from './regex.ts'
import { objectGrammar, schemaGrammar } from './schema-compiler.ts'
import { isPartOfText } from './utf8-gate.ts'
import { packTokens, type Start } from './worker-messages.ts'

/** What is needed of a tokenizer. */
export interface Vocabulary {
  /** Highest id + 1. */
  readonly vocabSize: number
  /** UTF-8 bytes that a token adds to a text. */
  bytes(id: number): Uint8Array
  /** Whether the token is no text, as `</s>`. */
  isSpecial(id: number): boolean
}

export interface GrammarsOptions {
  tokenizer: Vocabulary
  /** Rows of logits; may be more than the tokenizer has tokens. */
  vocabSize: number
  /** Tokens that end a text. */
  eosTokenIds: readonly number[]
  /** Compiled grammars that are kept; default 32. */
  maxGrammars?: number
  /** Milliseconds for compiling a grammar and for one mask; default 5000. */
  limitMs?: number
}

interface Entry {
  source: GrammarSource
  ready: Promise<void>
  guides: number
  isCached: boolean
}

/** Half of a surrogate pair, as JSON.stringify writes it. */
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/i

/** Grammars for one model. Nothing is started before the first specification comes. */
export function openGrammars(options: GrammarsOptions): XGrammars {
  return new XGrammars(options)
}

/** Grammars by xgrammar, which runs in a thread of its own. */
export class XGrammars implements Grammars {
  readonly #engine: MaskEngine
  readonly #eosTokenIds: readonly number[]
  readonly #maxGrammars: number
  /** By specification; the least recently used one comes first. */
  readonly #entries = new Map<string, Entry>()

  constructor({ maxGrammars = 32, limitMs = 5000, ...model }: GrammarsOptions) {
    this.#engine = new MaskEngine(() => vocabularyOf(model), limitMs)
    this.#eosTokenIds = model.eosTokenIds
    this.#maxGrammars = maxGrammars
  }

  /** Whether anything has been started yet. */
  get isRunning(): boolean {
    return this.#engine.isRunning
  }

  /** How many compiled grammars are kept. */
  get cached(): number {
    return this.#entries.size
  }

  async compile(spec: GrammarSpec, param: string): Promise<GuideFactory> {
    try {
      if (this.#eosTokenIds.length === 0) {
        refuse('the model has no end-of-sequence token, which structured output ends with')
      }
      const entry = this.#entryOf(spec)
      await entry.ready
      return () => this.#guide(entry, param)
    } catch (error) {
      // What is nested without bounds, as a value of `const` may be, ends in an overrun of the stack.
      const isTooDeep = error instanceof RangeError
      const cause = isTooDeep ? new Refusal(`the ${nameOf(spec)} is nested too deeply`) : error
      throw asApiError(cause, param)
    }
  }

  /** Ends the thread; guides in use fail. */
  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]()
  }

  #entryOf(spec: GrammarSpec): Entry {
    const key = sourceOf(spec)
    const known = this.#entries.get(key)
    this.#entries.delete(key)
    const entry = known ?? this.#newEntry(key, spec)
    this.#entries.set(key, entry)
    while (this.#entries.size > this.#maxGrammars) this.#evict(this.#entries.keys().next().value!)
    return entry
  }

  #newEntry(key: string, spec: GrammarSpec): Entry {
    const grammar = prune(grammarOf(spec))
    if (!grammar) refuse(`no text satisfies this ${nameOf(spec)}`)
    const ebnf = writeEbnf(grammar)
    if (ebnf.length > MAX_GRAMMAR) refuse(`the ${nameOf(spec)} needs too large a grammar`)
    const source = { id: this.#engine.nextId(), ebnf }
    const ready = this.#engine.compile(source)
    ready.catch(() => {
      if (this.#entries.get(key)?.source === source) this.#entries.delete(key)
    })
    return { source, ready, guides: 0, isCached: true }
  }

  #evict(key: string): void {
    const entry = this.#entries.get(key)!
    this.#entries.delete(key)
    entry.isCached = false
    this.#freeIfUnused(entry)
  }

  #guide(entry: Entry, param: string): Guide {
    entry.guides++
    return new Guide(this.#engine, entry.source, param, () => {
      entry.guides--
      this.#freeIfUnused(entry)
    })
  }

  /** A factory that outlives its grammar has it compiled again. */
  #freeIfUnused({ source, guides, isCached }: Entry): void {
    if (guides === 0 && !isCached) this.#engine.closeGrammar(source.id)
  }
}

function vocabularyOf({ tokenizer, vocabSize, eosTokenIds }: GrammarsOptions): Start {
  const length = Math.min(tokenizer.vocabSize, vocabSize)
  const tokens = Array.from({ length }, (_, id) => {
    const bytes = tokenizer.bytes(id)
    const isText = !tokenizer.isSpecial(id) && !eosTokenIds.includes(id) && isPartOfText(bytes)
    return isText ? bytes : new Uint8Array()
  })
  return { ...packTokens(tokens), vocabSize, eosTokenIds }
}

/** What the specification was written as, with its kind; bounded in length. Throws Refusal. */
function sourceOf(spec: GrammarSpec): string {
  const source = JSON.stringify(spec)
  if (source.length > MAX_SOURCE) {
    refuse(`the ${nameOf(spec)} has ${source.length} characters (at most ${MAX_SOURCE})`)
  }
  if (LONE_SURROGATE.test(source)) refuse(`the ${nameOf(spec)} holds half of a surrogate pair`)
  return source
}

function grammarOf(spec: GrammarSpec): Grammar {
  switch (spec.kind) {
    case 'json_object':
      return objectGrammar()
    case 'json_schema':
      return schemaGrammar(spec.schema)
    case 'regex':
      return { root: wholeRegex(spec.pattern), rules: new Map() }
    case 'choice':
      return choiceGrammar(spec.choices)
    case 'grammar':
      return readEbnf(spec.ebnf)
  }
}

function choiceGrammar(choices: readonly string[]): Grammar {
  if (choices.length > MAX_OPTIONS) {
    refuse(`there are ${choices.length} choices (at most ${MAX_OPTIONS})`)
  }
  return { root: choice(...Array.from(new Set(choices), text)), rules: new Map() }
}

function nameOf({ kind }: GrammarSpec): string {
  return { json_object: 'object', json_schema: 'schema', choice: 'choice' }[kind as never] ?? kind
}
