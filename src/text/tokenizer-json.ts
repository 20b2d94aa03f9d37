// The files tokenizer.json and tokenizer_config.json: reading them and checking their shape.

import { readFile } from 'node:fs/promises'
import { CheckpointError } from '../errors.ts'

/** A part of tokenizer.json: `type` names it, the other keys are its settings. */
export interface Part {
  type: string
  [setting: string]: unknown
}

/** An entry of `added_tokens`. */
export interface AddedToken {
  id: number
  content: string
  special: boolean
  single_word?: boolean
}

/** The keys of tokenizer.json that matter here; other keys are ignored. */
export interface TokenizerJson {
  added_tokens: AddedToken[]
  normalizer: Part | null
  pre_tokenizer: Part | null
  post_processor: Part | null
  decoder: Part | null
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] } & Part
}

/** Ids from here on are taken for damage; real vocabularies stay far below. */
const MAX_TOKENS = 1 << 24

/** Ids of the tokens that tokenizer_config.json names for a part. */
export interface TokenRoles {
  bosTokenId?: number
  eosTokenId?: number
}

/** Reads tokenizer.json. Throws CheckpointError if it is missing, no JSON, or lacks a key. */
export async function readTokenizerJson(file: string): Promise<TokenizerJson> {
  const json = await readObject(file)
  const { model } = json
  if (!isObject(model)) fail(file, '`model` is missing; this is no file of the tokenizers library')
  const added = json.added_tokens ?? []
  if (!Array.isArray(added) || !added.every(isAddedToken)) {
    fail(file, '`added_tokens` is not a list of { id, content }')
  }
  for (const key of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder']) {
    const part = json[key] ?? null
    if (part !== null && !isPart(part)) fail(file, `\`${key}\` is neither null nor { type, … }`)
  }
  // The library asks that every key exists.
  const empty = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  const type = typeof model.type === 'string' ? model.type : 'missing'
  if (type === 'BPE') checkBpe(file, model, added)
  return { ...empty, ...json, added_tokens: added, model: { ...model, type } } as TokenizerJson
}

/** Reads tokenizer_config.json. Throws CheckpointError if it names a token that does not exist. */
export async function readTokenRoles(file: string, tokenizer: TokenizerJson): Promise<TokenRoles> {
  const config = await readObject(file)
  const idOf = (role: 'bos_token' | 'eos_token'): number | undefined => {
    const value = config[role] ?? undefined
    if (value === undefined) return undefined
    const name = isObject(value) ? value.content : value
    const added = tokenizer.added_tokens.find((token) => token.content === name)
    if (added) return added.id
    if (typeof name === 'string' && Object.hasOwn(tokenizer.model.vocab, name)) {
      return tokenizer.model.vocab[name]
    }
    fail(file, `\`${role}\` is ${JSON.stringify(value)}, which is no token of tokenizer.json`)
  }
  return { bosTokenId: idOf('bos_token'), eosTokenId: idOf('eos_token') }
}

async function readObject(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    fail(file, missing ? 'not found' : `cannot be read: ${(error as Error).message}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    fail(file, `not valid JSON: ${(error as Error).message}`)
  }
  if (!isObject(value)) fail(file, 'not a JSON object')
  return value
}

function checkBpe(file: string, model: Record<string, unknown>, added: AddedToken[]): void {
  const { vocab, merges } = model
  if (!isObject(vocab)) fail(file, '`model.vocab` is not an object of token ids')
  const taken = new Map<number, string>()
  for (const [token, id] of Object.entries(vocab)) {
    if (!isId(id)) fail(file, `the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}`)
    const other = taken.get(id)
    if (other !== undefined) {
      fail(file, `${JSON.stringify(other)} and ${JSON.stringify(token)} share the id ${id}`)
    }
    taken.set(id, token)
  }
  for (const { id, content } of added) {
    const other = taken.get(id) ?? content
    if (other !== content) {
      fail(file, `${JSON.stringify(other)} and ${JSON.stringify(content)} share the id ${id}`)
    }
    taken.set(id, content)
  }
  if (!Array.isArray(merges) || !merges.every(isMerge)) {
    fail(file, '`model.merges` is not a list of token pairs')
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether a value has the shape of a part. */
export function isPart(value: unknown): value is Part {
  return isObject(value) && typeof value.type === 'string'
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < MAX_TOKENS
}

function isAddedToken(value: unknown): value is AddedToken {
  return isObject(value) && isId(value.id) && typeof value.content === 'string'
}

function isMerge(value: unknown): boolean {
  const pair = typeof value === 'string' ? value.split(' ') : value
  return Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')
}

function fail(file: string, message: string): never {
  throw new CheckpointError(file, message)
}
