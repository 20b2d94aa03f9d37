// A tokenizer whose tokens are letters, so that ids can be read, and models that have it.

import type { Reader } from '../../src/evaluation/task.ts'

export const BOS = 1
export const EOS = 2

export interface LettersOptions {
  /** Ids that `encode` puts in front of a text and behind it. */
  before?: number[]
  behind?: number[]
  bosTokenId?: number
  eosTokenId?: number
  eosTokenIds?: number[]
  maxLength?: number
  /** Strings that are one token, with an id of their own. */
  merged?: Record<string, number>
  /** Dropped from a text, as some normalizers do. */
  dropped?: RegExp
}

/** Code points are tokens, but for those that are merged; ids below 3 are special. */
export function lettersReader(options: LettersOptions = {}): Reader {
  const { before = [], behind = [], merged = {}, dropped, eosTokenIds = [], maxLength } = options
  const encode = (text: string, { addSpecialTokens = true } = {}) => {
    const ids: number[] = []
    for (let rest = dropped ? text.replaceAll(dropped, '') : text; rest !== ''; ) {
      const word = Object.keys(merged).find((each) => rest.startsWith(each))
      const letter = String.fromCodePoint(rest.codePointAt(0)!)
      ids.push(word === undefined ? letter.codePointAt(0)! : merged[word])
      rest = rest.slice((word ?? letter).length)
    }
    return addSpecialTokens ? [...before, ...ids, ...behind] : ids
  }
  const { bosTokenId, eosTokenId } = options
  const isSpecial = (id: number) => id < 3
  const spelling = (id: number) =>
    Object.keys(merged).find((word) => merged[word] === id) ?? String.fromCodePoint(id)
  const bytes = (id: number) => new TextEncoder().encode(spelling(id))
  return { tokenizer: { encode, bytes, isSpecial, bosTokenId, eosTokenId }, eosTokenIds, maxLength }
}

/** Ids as text, special ones in brackets, with a bar where scoring begins. */
export function spelled({ ids, from }: { ids: readonly number[]; from: number }): string {
  const names = ids.map((id) => (id < 3 ? `<${id}>` : String.fromCodePoint(id)))
  return `${names.slice(0, from).join('')}|${names.slice(from).join('')}`
}
