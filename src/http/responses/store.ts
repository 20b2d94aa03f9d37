// Finished responses that later requests may continue or fetch, in memory.

/** What a response leaves behind; all but the tokens is JSON. */
export interface StoredResponse<Response = unknown, Item = unknown, Message = unknown> {
  id: string
  /** As it was sent. */
  response: Response
  /** What the request brought, for `input_items`. */
  input: readonly Item[]
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
  /** Most bytes of what is kept, nearly. */
  bytes: number
}

/** As it is kept: a text has a known size, and objects of a client's making have none. */
interface Entry {
  json: string
  prompt: Uint32Array
  bytes: number
}

/** Drops those that were not used for longest. */
export class ResponseStore<Stored extends StoredResponse = StoredResponse> {
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(readonly limits: StoreLimits) {}

  get size(): number {
    return this.#entries.size
  }

  /** A copy of a response, which is now the last to be dropped; undefined if it is unknown. */
  get(id: string): Stored | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    return { ...JSON.parse(entry.json), prompt: entry.prompt }
  }

  /** False if it is larger than all that may be kept, or none may be. */
  add({ prompt, ...rest }: Stored): boolean {
    this.delete(rest.id)
    const json = JSON.stringify(rest)
    const bytes = prompt.byteLength + 2 * json.length
    if (bytes > this.limits.bytes || this.limits.responses === 0) return false
    this.#entries.set(rest.id, { json, prompt, bytes })
    this.#bytes += bytes
    for (const id of this.#entries.keys()) {
      if (this.size <= this.limits.responses && this.#bytes <= this.limits.bytes) break
      this.delete(id)
    }
    return true
  }

  /** False if it is unknown. */
  delete(id: string): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    this.#bytes -= entry.bytes
    return this.#entries.delete(id)
  }
}
