// Finished responses that later requests may continue or fetch, in memory.

/** What a response leaves behind. */
export interface StoredResponse<Response = unknown, Message = unknown> {
  id: string
  /** As it was sent. */
  response: Response
  /** What the request brought, for `input_items`. */
  input: readonly { id: string }[]
  /** The conversation up to the end of the answer, without instructions. */
  messages: readonly Message[]
  /** The tokens of the last prompt. */
  prompt: Uint32Array
  /** Positions in it where prompts ended: the states there are kept. */
  promptEnds: readonly number[]
}

export interface StoreLimits {
  /** Most responses. */
  responses: number
  /** Most bytes of tokens and JSON text, nearly. */
  bytes: number
}

/** Drops those that were not used for longest. */
export class ResponseStore<Stored extends StoredResponse = StoredResponse> {
  /** Least recently used first. */
  readonly #entries = new Map<string, { stored: Stored; bytes: number }>()
  #bytes = 0

  constructor(readonly limits: StoreLimits) {}

  get size(): number {
    return this.#entries.size
  }

  /** A response, which is now the last to be dropped; undefined if it is unknown. */
  get(id: string): Stored | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    return entry.stored
  }

  add(stored: Stored): void {
    this.delete(stored.id)
    const { messages, response, input } = stored
    const text = JSON.stringify({ messages, response, input })
    const bytes = stored.prompt.byteLength + 2 * text.length
    if (bytes > this.limits.bytes) return
    this.#entries.set(stored.id, { stored, bytes })
    this.#bytes += bytes
    for (const id of this.#entries.keys()) {
      if (this.size <= this.limits.responses && this.#bytes <= this.limits.bytes) return
      this.delete(id)
    }
  }

  /** False if it is unknown. */
  delete(id: string): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    this.#bytes -= entry.bytes
    return this.#entries.delete(id)
  }
}
