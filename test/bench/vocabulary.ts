// Tokenizers for models of random weights, which draw any id of their vocabulary.
import { join } from 'node:path'
import { readTokenizerJson } from '../../src/text/tokenizer-json.ts'

/**
 * Gives every id that the tokenizer of a folder does not know a word of its own. An id without a text
 * brings a stream no chunk: the HTTP side would have less to do than with a real model, and a client
 * would see its tokens late or only at the end.
 */
export async function nameAllIds(folder: string, vocabSize: number): Promise<void> {
  const file = join(folder, 'tokenizer.json')
  const json = await readTokenizerJson(file)
  const { vocab } = json.model
  const known = Math.max(...Object.values(vocab), ...json.added_tokens.map(({ id }) => id)) + 1
  for (let id = known; id < vocabSize; id++) vocab[`▁w${id}`] = id
  await Bun.write(file, JSON.stringify(json))
}
