// The server's end of the thread that computes masks. Starts it when it is first needed, and starts
// another one when a call fails or takes too long: what the other calls need is sent again, as a guide
// is nothing but a grammar and the tokens so far.

import { Refusal } from './refusal.ts'
import type { Close, Reply, Request, Start } from './worker-messages.ts'

/** A grammar that the thread knows or can be told. */
export interface GrammarSource {
  readonly id: number
  readonly ebnf: string
}

/** One generation: its grammar and the tokens so far. */
export interface GuideState {
  readonly id: number
  readonly grammar: GrammarSource
  readonly tokens: readonly number[]
  /** False once nobody waits for it any more. */
  readonly isOpen: boolean
  /** Time that its masks have taken so far. */
  spentMs: number
}

/** Time for a thread to start. */
const START_MS = 60_000

/** Time that a guide may use for each token; what one uses beyond it comes off a limit in all. */
const TOKEN_MS = 20

interface Call {
  grammar: GrammarSource
  guide?: GuideState
  resolve(mask: Uint32Array | undefined): void
  reject(error: unknown): void
}

/** A running thread and what it has been told. */
interface Thread {
  worker: Worker
  /** It has read the vocabulary. */
  isReady: boolean
  grammars: Set<number>
  /** How many tokens of each guide it has. */
  guides: Map<number, number>
}

export class MaskEngine {
  readonly #vocabulary: () => Start
  readonly #limitMs: number
  /** In the order in which the thread answers. */
  readonly #calls = new Map<number, Call>()
  #thread: Thread | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When the thread began to work on the oldest call. */
  #since = 0
  #nextId = 0

  /**
   * `limitMs` bounds the time of one call, compiling a grammar or computing a mask, and of all masks
   * of a guide beyond 20 ms for each token.
   */
  constructor(vocabulary: () => Start, limitMs: number) {
    this.#vocabulary = vocabulary
    this.#limitMs = limitMs
  }

  /** A number that no other grammar, guide or call of this engine has. */
  nextId(): number {
    return this.#nextId++
  }

  /** Whether the thread has been started. */
  get isRunning(): boolean {
    return this.#thread !== undefined
  }

  /** Throws Refusal for a grammar that xgrammar does not take, or not in time. */
  async compile(grammar: GrammarSource): Promise<void> {
    await this.#call(grammar)
  }

  /** The tokens that may follow; throws Refusal as `compile` does. */
  async mask(guide: GuideState): Promise<Uint32Array> {
    return (await this.#call(guide.grammar, guide))!
  }

  closeGuide(id: number): void {
    if (this.#thread?.guides.delete(id)) this.#close({ close: 'guide', id })
  }

  closeGrammar(id: number): void {
    if (this.#thread?.grammars.delete(id)) this.#close({ close: 'grammar', id })
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#thread?.worker.terminate()
    this.#thread = undefined
    for (const call of this.#calls.values()) call.reject(new Error('the grammar engine was closed'))
    this.#calls.clear()
  }

  #call(grammar: GrammarSource, guide?: GuideState): Promise<Uint32Array | undefined> {
    return new Promise((resolve, reject) => {
      const id = this.nextId()
      this.#calls.set(id, { grammar, guide, resolve, reject })
      this.#send(id)
      if (this.#calls.size === 1) this.#watch()
    })
  }

  #send(id: number): void {
    const { grammar, guide } = this.#calls.get(id)!
    this.#thread ??= this.#start()
    const { worker, grammars, guides } = this.#thread
    const ebnf = grammars.has(grammar.id) ? undefined : grammar.ebnf
    const tokens = guide?.tokens.slice(guides.get(guide.id) ?? 0) ?? []
    const request: Request = { call: id, grammar: grammar.id, ebnf, guide: guide?.id, tokens }
    grammars.add(grammar.id)
    if (guide) guides.set(guide.id, guide.tokens.length)
    worker.postMessage(request)
  }

  #close(message: Close): void {
    this.#thread?.worker.postMessage(message)
  }

  #start(): Thread {
    const worker = new Worker(new URL('./mask-worker.ts', import.meta.url).href)
    const thread = { worker, isReady: false, grammars: new Set<number>(), guides: new Map() }
    worker.onmessage = ({ data }: MessageEvent<Reply | 'ready'>) => {
      if (this.#thread !== thread) return
      if (data !== 'ready') return this.#answered(data)
      thread.isReady = true
      this.#watch()
    }
    worker.onerror = (event) => {
      event.preventDefault()
      if (this.#thread === thread) this.#restart(new Error(event.message))
    }
    // An idle thread does not keep the process alive; while there are calls their timer does.
    worker.unref()
    worker.postMessage(this.#vocabulary())
    return thread
  }

  #answered({ call, mask, error }: Reply): void {
    if (error !== undefined) {
      this.#restart(new Refusal(`the grammar cannot be used: ${error}`))
      return
    }
    const { guide, resolve, reject } = this.#calls.get(call)!
    this.#calls.delete(call)
    if (guide) guide.spentMs += performance.now() - this.#since
    const isSlow = guide && guide.spentMs > this.#limitMs + TOKEN_MS * guide.tokens.length
    if (isSlow) reject(new Refusal('the grammar takes too much work for each token'))
    else resolve(mask)
    this.#watch()
  }

  /** Gives the oldest call its time. */
  #watch(): void {
    clearTimeout(this.#timer)
    this.#since = performance.now()
    if (this.#calls.size === 0) return
    const isReady = this.#thread?.isReady
    const limit = isReady ? this.#limitMs : START_MS
    const late = isReady
      ? new Refusal(`the grammar takes more than ${limit / 1000} s of work`)
      : new Error(`the grammar engine did not start within ${limit / 1000} s`)
    this.#timer = setTimeout(() => this.#restart(late), limit)
  }

  /** Fails the oldest call, which the thread was working on, and moves the others to a new thread. */
  #restart(error: unknown): void {
    this.#thread?.worker.terminate()
    this.#thread = undefined
    const [culprit] = this.#calls.keys()
    this.#calls.get(culprit)?.reject(error)
    this.#calls.delete(culprit)
    for (const [id, { guide, reject }] of this.#calls) {
      if (!guide || guide.isOpen) {
        this.#send(id)
        continue
      }
      reject(new Error('the guide is disposed'))
      this.#calls.delete(id)
    }
    this.#watch()
  }
}
