// Follows one generation through the masks of the engine.

import { ApiError } from '../errors.ts'
import type { TokenGuide } from './guide.ts'
import type { GrammarSource, GuideState, MaskEngine } from './mask-engine.ts'
import { Refusal } from './refusal.ts'

export class Guide implements TokenGuide, GuideState {
  readonly id: number
  readonly tokens: number[] = []
  #mask: Uint32Array | undefined
  isOpen = true
  spentMs = 0

  constructor(
    readonly engine: MaskEngine,
    readonly grammar: GrammarSource,
    readonly param: string,
    readonly onDispose: () => void,
  ) {
    this.id = engine.nextId()
  }

  async allowed(): Promise<Uint32Array> {
    if (!this.isOpen) throw new Error('the guide is disposed')
    this.#mask ??= await this.engine.mask(this).catch((error) => {
      throw asApiError(error, this.param)
    })
    // The caller may change its words; `accept` needs them as they were.
    return this.#mask.slice()
  }

  accept(id: number): void {
    if (!this.#mask) throw new Error('allowed() comes before accept()')
    if (!((this.#mask[id >> 5] >>> (id & 31)) & 1)) throw new Error(`token ${id} is not allowed`)
    this.tokens.push(id)
    this.#mask = undefined
  }

  [Symbol.dispose](): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.engine.closeGuide(this.id)
    this.onDispose()
  }
}

/** A Refusal as what the client is told; other errors as they are. */
export function asApiError(error: unknown, param: string): unknown {
  if (!(error instanceof Refusal)) return error
  return new ApiError(400, `${param}: ${error.message}`, { param })
}
