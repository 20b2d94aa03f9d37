// Bounds on what one specification may ask for. They keep reading cheap; what is slow to compile in
// spite of them meets the time limit of the engine.

/** Characters of a schema, pattern, grammar, or of all choices together. */
export const MAX_SOURCE = 64 * 1024

/** Levels of groups in a pattern or grammar, and of schemas inside of schemas. */
export const MAX_DEPTH = 64

/** Choices, and members of one `enum`. */
export const MAX_OPTIONS = 1000

/** Times that something may be asked to repeat: `{m,n}`, `maxLength`, `minItems` and the like. */
export const MAX_COUNT = 10_000

/** Plain schemas that `allOf` and `anyOf` of one schema may multiply to. */
export const MAX_COMBINATIONS = 256

/** Characters of a grammar as it is handed to xgrammar. */
export const MAX_GRAMMAR = 256 * 1024

/** Schemas that one schema may lead to once `allOf`, `anyOf` and `$ref` are multiplied out. */
export const MAX_SCHEMAS = 2000
