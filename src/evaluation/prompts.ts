// Which tokens an item makes and which of them are scored, with the conventions of
// lm-evaluation-harness.

import { ConfigError } from '../errors.ts'
import type { Item } from './dataset.ts'
import { plainIds, type Reader } from './task.ts'

/** What stands between a query and a choice unless something else is wanted. */
export const DEFAULT_DELIMITER = ' '

/** A choice behind its query as token ids, of which those from `from` on (at least 1) are scored. */
export interface Prompt {
  ids: number[]
  from: number
  /** Whether the beginning was left out, because the model takes no more. */
  truncated: boolean
}

export interface PromptOptions {
  /** Path of the dataset, for messages. */
  file: string
  delimiter: string
}

/**
 * Query, delimiter and each choice as one text, and where the choice begins in it. White space at the
 * end of the query belongs to the choice. The ids are those of the query alone, then what follows as
 * many ids in the whole text: what a token merges of both counts as the query's.
 * Throws ConfigError for a choice of no tokens or, alone, of more than the model takes, and where
 * there is no token to stand before the first that is scored.
 */
export function promptsOf(
  reader: Reader,
  { line, query, choices }: Pick<Item, 'line' | 'query' | 'choices'>,
  { file, delimiter }: PromptOptions,
): Prompt[] {
  const { tokenizer, maxLength } = reader
  const context = query.slice(0, lengthWithoutSpace(query))
  const gap = query.slice(context.length)
  const contextIds = plainIds(tokenizer, context)
  const opening = openingOf(tokenizer)
  return choices.map((choice, position) => {
    const where = `--dataset ${file}, line ${line}: choice ${position + 1}`
    const whole = plainIds(tokenizer, context + gap + delimiter + choice)
    if (whole.length === 0) throw new ConfigError(`${where} gives no tokens`)
    // Where all of a choice is merged with the query, the last token stands for it.
    const start = Math.min(contextIds.length, whole.length - 1)
    const text = start < contextIds.length ? whole : [...contextIds, ...whole.slice(start)]
    const lead = opening.length > 0 || start > 0 ? opening : [leadOf(reader, file)]
    // Text may spell the beginning itself, as a chat template does.
    const hasLead = text.length > lead.length && lead.every((id, i) => text[i] === id)
    const ids = hasLead ? text : [...lead, ...text]
    const from = hasLead ? Math.max(start, lead.length) : lead.length + start
    const cut = Math.max(0, ids.length - (maxLength ?? ids.length))
    if (from > cut) return { ids: ids.slice(cut), from: from - cut, truncated: cut > 0 }
    throw new ConfigError(
      `${where} has ${ids.length - from} tokens; ` +
        `with one before them the model takes ${maxLength} (--max-model-len)`,
    )
  })
}

/** What a tokenizer puts in front of a text; some put a token behind it as well. */
function openingOf(tokenizer: Reader['tokenizer']): number[] {
  const plain = plainIds(tokenizer, 'a')
  const whole = tokenizer.encode('a')
  const at = whole.findIndex((_, i) => plain.every((id, j) => whole[i + j] === id))
  return whole.slice(0, Math.max(at, 0))
}

/** What stands before a text that nothing else stands before. */
function leadOf({ tokenizer, eosTokenIds }: Reader, file: string): number {
  const { bosTokenId, eosTokenId } = tokenizer
  const id = bosTokenId ?? eosTokenId ?? eosTokenIds[0]
  if (id !== undefined) return id
  throw new ConfigError(
    `--dataset ${file}: a choice is the first of its text, where a token has to stand before it, ` +
      'and the model names none that begins or ends a text (bos_token, eos_token, eos_token_id)',
  )
}

/** Length up to the white space at the end, which is what Python's str.rstrip takes for it. */
function lengthWithoutSpace(text: string): number {
  let end = text.length
  while (end > 0 && isSpace(text[end - 1])) end--
  return end
}

function isSpace(unit: string): boolean {
  return /\p{White_Space}/u.test(unit) || (unit >= '\x1c' && unit <= '\x1f')
}
