// Follows guides without a model: random walks through their masks, and given texts token by token.

import { join } from 'node:path'
import { type GrammarsOptions, openGrammars, type XGrammars } from '../../src/grammar/grammars.ts'
import type { GrammarSpec, TokenGuide } from '../../src/grammar/guide.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'

const FOLDER = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')

export const VOCABULARY = 4096
export const EOS = 2

/** The tokenizer of the shipped model. */
export function openTokenizer(): Promise<Tokenizer> {
  return Tokenizer.open(join(FOLDER, 'tokenizer.json'), join(FOLDER, 'tokenizer_config.json'))
}

export const tokenizer = await openTokenizer()

export function openTestGrammars(options: Partial<GrammarsOptions> = {}): XGrammars {
  return openGrammars({ tokenizer, vocabSize: VOCABULARY, eosTokenIds: [EOS], ...options })
}

/** The tokens of a mask. */
export function tokensOf(mask: Uint32Array): number[] {
  const ids: number[] = []
  for (const [index, word] of mask.entries()) {
    for (let bits = word; bits !== 0; bits &= bits - 1) {
      ids.push(index * 32 + 31 - Math.clz32(bits & -bits))
    }
  }
  return ids
}

export interface Walk {
  text: string
  /** False if the walk was stopped by its limit. */
  isFinished: boolean
}

/**
 * A random text of a guide: any allowed token, each with the same odds, but an end token in one of
 * three cases. After `patience` tokens whatever closes something goes first.
 */
export async function walk(
  guide: TokenGuide,
  random: () => number,
  { patience = 60, limit = 400 } = {},
): Promise<Walk> {
  const ids: number[] = []
  const finished = (isFinished: boolean) => ({ text: strictText(ids, isFinished), isFinished })
  while (ids.length < limit) {
    const allowed = tokensOf(await guide.allowed())
    if (allowed.length === 0) throw new Error(`nothing is allowed after ${strictText(ids, false)}`)
    const mayEnd = allowed.includes(EOS)
    const others = allowed.filter((id) => id !== EOS)
    if (mayEnd && (others.length === 0 || ids.length > patience || random() < 1 / 3)) {
      return finished(true)
    }
    const closing = ids.length > patience ? others.filter((id) => CLOSING.has(id)) : []
    const from = closing.length > 0 ? closing : others
    const id = from[Math.floor(random() * from.length)]
    guide.accept(id)
    ids.push(id)
  }
  return finished(false)
}

/** Tokens that may close a string, a list or an object. */
const CLOSING = new Set(
  Array.from({ length: VOCABULARY }, (_, id) => id).filter((id) =>
    /^["\]}]/.test(tokenizer.display(id)),
  ),
)

function strictText(ids: readonly number[], isWhole: boolean): string {
  const bytes = Buffer.concat(ids.map((id) => tokenizer.bytes(id)))
  return new TextDecoder('utf-8', { fatal: isWhole, ignoreBOM: true }).decode(bytes)
}

const longestFirst = Array.from({ length: VOCABULARY }, (_, id) => id)
  .filter((id) => !tokenizer.isSpecial(id) && tokenizer.bytes(id).length > 0)
  .sort((a, b) => tokenizer.bytes(b).length - tokenizer.bytes(a).length)
const byFirstByte = Map.groupBy(longestFirst, (id) => tokenizer.bytes(id)[0])

/** Tokens that spell a text, the longest that fits first. */
export function greedyTokens(text: string): number[] {
  const bytes = Buffer.from(text)
  const ids: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const fits = (id: number) => {
      const token = tokenizer.bytes(id)
      return bytes.subarray(at, at + token.length).equals(token)
    }
    const id = byFirstByte.get(bytes[at])!.find(fits)!
    ids.push(id)
    at += tokenizer.bytes(id).length
  }
  return ids
}

/** Whether a specification allows a text, to its end. */
export async function isAllowed(
  grammars: XGrammars,
  spec: GrammarSpec,
  text: string,
): Promise<boolean> {
  using guide = (await grammars.compile(spec, 'test'))()
  for (const id of greedyTokens(text)) {
    if (!tokensOf(await guide.allowed()).includes(id)) return false
    guide.accept(id)
  }
  return tokensOf(await guide.allowed()).includes(EOS)
}

/** Random numbers from 0 to 1 that are the same for a seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
