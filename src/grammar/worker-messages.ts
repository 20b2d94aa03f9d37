// What the server and the thread that computes masks say to each other.

/** The first message: the vocabulary. */
export interface Start {
  /** Bytes of all tokens, one after the other; none for tokens that are never allowed in a text. */
  bytes: Uint8Array
  /** Where each token ends in `bytes`, by id. */
  ends: Uint32Array
  /** Rows of logits; from the end of `ends` on no token is allowed. */
  vocabSize: number
  eosTokenIds: readonly number[]
}

/** Compiles a grammar unless it is known; with a guide also goes on and answers with its mask. */
export interface Request {
  call: number
  grammar: number
  /** Given unless this thread has compiled the grammar. */
  ebnf?: string
  guide?: number
  /** Tokens of the guide's text since its last request. */
  tokens: readonly number[]
}

/** Frees a guide or a grammar. */
export interface Close {
  close: 'guide' | 'grammar'
  id: number
}

/** The answer to a request. After an error the thread must not be used any more. */
export interface Reply {
  call: number
  mask?: Uint32Array
  error?: string
}

/** The vocabulary in one piece: thousands of small arrays take most of a second to hand over. */
export function packTokens(tokens: readonly Uint8Array[]): Pick<Start, 'bytes' | 'ends'> {
  const ends = new Uint32Array(tokens.length)
  let end = 0
  for (const [id, token] of tokens.entries()) {
    end += token.length
    ends[id] = end
  }
  const bytes = new Uint8Array(end)
  for (const [id, token] of tokens.entries()) bytes.set(token, ends[id] - token.length)
  return { bytes, ends }
}

/** The tokens that `packTokens` was given. */
export function unpackTokens({ bytes, ends }: Pick<Start, 'bytes' | 'ends'>): Uint8Array[] {
  return Array.from(ends, (end, id) => bytes.subarray(id === 0 ? 0 : ends[id - 1], end))
}
