// What constrained generation is to the rest of the server: a specification of the texts that are
// allowed, and a guide that keeps one generation within them, token by token.

/** The texts that a generation may be. Exactly one kind; the sources are the client's. */
export type GrammarSpec =
  /** Any JSON object. */
  | { kind: 'json_object' }
  /** A JSON value that the schema allows. */
  | { kind: 'json_schema'; schema: unknown }
  /** A text that the whole of the regular expression matches. */
  | { kind: 'regex'; pattern: string }
  /** One of the texts. */
  | { kind: 'choice'; choices: readonly string[] }
  /** A text of the grammar's `root` rule, in EBNF as GBNF and xgrammar write it. */
  | { kind: 'grammar'; ebnf: string }

/** Follows one generation and says what may come next. Belongs to that generation alone. */
export interface TokenGuide {
  /**
   * The tokens that can come next; the caller may change the words. End-of-sequence tokens are among
   * them where the text may end.
   * @returns ceil(vocabulary / 32) words; bit i % 32 of word i / 32 stands for token i
   */
  allowed(): Promise<Uint32Array>
  /** Goes on by a token that was generated; throws if it was not allowed. Not for end tokens. */
  accept(id: number): void
  /** Frees what lives outside of JavaScript's memory; disposing twice is harmless. */
  [Symbol.dispose](): void
}

/** Makes a guide for each generation of a request, each at the beginning of its text. */
export type GuideFactory = () => TokenGuide

/** Compiles specifications for the vocabulary of one model. */
export interface Grammars {
  /**
   * Throws ApiError 400 for a specification that is broken, too large, or asks for what could not be
   * enforced; `param` is the request field that it came from.
   */
  compile(spec: GrammarSpec, param: string): Promise<GuideFactory>
}
