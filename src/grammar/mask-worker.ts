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
import {
  type Close,
  type Reply,
  type Request,
  type Start,
  unpackTokens,
} from './worker-messages.ts'

declare const self: Worker

interface Guide {
  matcher: GrammarMatcher
  /** The last two bytes of the text. */
  end: number[]
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
    readonly tokens: readonly Uint8Array[],
    readonly compiler: GrammarCompiler,
  ) {
    this.#gate = new Utf8Gate(tokens)
  }

  static async open(start: Start): Promise<MaskThread> {
    const { vocabSize, eosTokenIds } = start
    const tokens = unpackTokens(start)
    // Bytes are taken as they are where the declarations say strings.
    const vocabulary = tokens as unknown as string[]
    const info = await TokenizerInfo.createTokenizerInfo(vocabulary, 'raw', false, vocabSize, [
      ...eosTokenIds,
    ])
    return new MaskThread(tokens, await GrammarCompiler.createGrammarCompiler(info, false))
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
      guide = { matcher: await GrammarMatcher.createGrammarMatcher(grammar), end: [] }
      this.#guides.set(id, guide)
    }
    for (const token of tokens) {
      if (!guide.matcher.acceptToken(token)) throw new Error(`token ${token} is not accepted`)
      guide.end = [...guide.end, ...this.tokens[token].slice(-2)].slice(-2)
    }
    const words = await guide.matcher.getNextTokenBitmask()
    const mask = new Uint32Array(words.buffer, words.byteOffset, words.length)
    this.#gate.close(mask, guide.end)
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
    // If it fails, so does the first request, which then says why.
    thread.then(() => self.postMessage('ready')).catch(() => {})
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
