// The runs of tokens that spell the words which a client bans.

import type { PromptTokenizer } from '../context.ts'

/**
 * As in vLLM: a word as the tokenizer spells it at the start of a text and, where that is another
 * run of the same length, after a space. Other ways to spell it out of smaller tokens stay possible.
 */
export function bannedRuns(
  words: readonly string[],
  tokenizer: Pick<PromptTokenizer, 'encode'>,
): number[][] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })
  return words.flatMap((word) => {
    const bare = encode(word)
    const spaced = encode(` ${word.trimStart()}`)
    const isOther = spaced.length === bare.length && spaced[0] !== bare[0]
    return (isOther ? [bare, spaced] : [bare]).filter((run) => run.length > 0)
  })
}
