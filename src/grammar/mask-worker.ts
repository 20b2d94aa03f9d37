// The thread in which xgrammar runs, so that a slow grammar does not hold up the server and a crash
// inside of WebAssembly costs nothing but this thread.

import {
  type CompiledGrammar,
  Grammar,
  GrammarCompiler,
  GrammarMatcher,
  TokenizerInfo,
} from '@mlc-ai/web-xgrammar'
import { Utf8Gate } from './utf8-gate.ts'
import type { Close, Reply, Request, Start } from './worker-messages.ts'

declare const self: Worker

interface Guide {
  matcher: GrammarMatcher
  lastByte: number | undefined
}

/** The engine says why it gives up on the console only. */
let lastWords = ''
console.error = (line: unknown) => {
  if (!String(line).startsWith('Aborted')) lastWords = String(line)
}
console.log = () => {}
console.warn = () => {}

class MaskThread {
  readonly #grammars = new Map<number, CompiledGrammar>()
  readonly #guides = new Map<number, Guide>()
  readonly #gate: Utf8Gate

  private constructor(
    readonly start: Start,
    readonly compiler: GrammarCompiler,
  ) {
    this.#gate = new Utf8Gate(start.tokens)
  }

  static async open(start: Start): Promise<MaskThread> {
    const { tokens, vocabSize, eosTokenIds } = start
    // Bytes are taken as they are where the declarations say strings.
    const vocabulary = tokens as unknown as string[]
    const info = await TokenizerInfo.createTokenizerInfo(vocabulary, 'raw', false, vocabSize, [
      ...eosTokenIds,
    ])
    return new MaskThread(start, await GrammarCompiler.createGrammarCompiler(info, false))
  }

  async answer({ call, grammar, ebnf, guide, tokens }: Request): Promise<Reply> {
    let compiled = this.#grammars.get(grammar)
    if (!compiled) {
      compiled = await this.#compile(ebnf!)
      this.#grammars.set(grammar, compiled)
    }
    return guide === undefined
      ? { call }
      : { call, mask: await this.#mask(guide, compiled, tokens) }
  }

  close({ close, id }: Close): void {
    if (close === 'guide') {
      this.#guides.get(id)?.matcher.dispose()
      this.#guides.delete(id)
    } else {
      this.#grammars.get(id)?.dispose()
      this.#grammars.delete(id)
    }
  }

  async #compile(ebnf: string): Promise<CompiledGrammar> {
    const grammar = await Grammar.fromEBNF(ebnf)
    const compiled = await this.compiler.compileGrammar(grammar)
    grammar.dispose()
    return compiled
  }

  async #mask(
    id: number,
    grammar: CompiledGrammar,
    tokens: readonly number[],
  ): Promise<Uint32Array> {
    let guide = this.#guides.get(id)
    if (!guide) {
      guide = { matcher: await GrammarMatcher.createGrammarMatcher(grammar), lastByte: undefined }
      this.#guides.set(id, guide)
    }
    for (const token of tokens) {
      if (!guide.matcher.acceptToken(token)) throw new Error(`token ${token} is not accepted`)
      guide.lastByte = this.start.tokens[token].at(-1)
    }
    const words = await guide.matcher.getNextTokenBitmask()
    const mask = new Uint32Array(words.buffer, words.byteOffset, words.length)
    this.#gate.close(mask, guide.lastByte)
    return mask
  }
}

function reasonOf(error: unknown): string {
  const said = /Check failed.*?: (.*)|\.cc:\d+: (.*)/.exec(lastWords)
  return said?.[1] ?? said?.[2] ?? (error instanceof Error ? error.message : String(error))
}

let thread: Promise<MaskThread> | undefined
let queue: Promise<unknown> = Promise.resolve()

self.onmessage = ({ data }: MessageEvent<Start | Request | Close>) => {
  if ('vocabSize' in data) {
    thread = MaskThread.open(data)
    return
  }
  // One after the other: xgrammar's functions are asynchronous by name only.
  queue = queue.then(async () => {
    if ('close' in data) return (await thread!).close(data)
    try {
      self.postMessage(await (await thread!).answer(data))
    } catch (error) {
      self.postMessage({ call: data.call, error: reasonOf(error) } satisfies Reply)
    }
  })
}
