// What the server and the thread that computes masks say to each other.

/** The first message: the vocabulary. */
export interface Start {
  /** Bytes by token id; empty for tokens that are never allowed in a text. */
  tokens: readonly Uint8Array[]
  /** Rows of logits; from the end of `tokens` on no token is allowed. */
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
