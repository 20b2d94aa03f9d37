// Perplexity of a text: cut into windows, each scored from an empty state.

import { basename } from 'node:path'
import type { LoadedModel } from '../engine/load.ts'
import { ConfigError } from '../errors.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { scorePrompts } from './score.ts'
import { signed, type Task } from './task.ts'

/** Tokens predicted in a window: what the figures of the shipped models were taken with. */
export const DEFAULT_WINDOW = 512

/** Windows that wait for the GPU at once. */
const AT_ONCE = 4

export interface TextFigures {
  /** Tokens predicted. */
  tokens: number
  natsPerToken: number
  perplexity: number
  /** Over the bytes that the predicted tokens spell: comparable among tokenizers. */
  bitsPerByte: number
  tokensPerSecond: number
}

export interface TextOptions {
  /** Path and content. */
  file: string
  text: string
  /** Tokens predicted in a window. */
  window?: number
  /** The first tokens of the text only. */
  tokens?: number
}

/** The task of scoring a text. Throws ConfigError for a text without tokens when it is run. */
export function textTask(options: TextOptions): Task<TextFigures> {
  const { file, window = DEFAULT_WINDOW, tokens } = options
  return {
    title: `perplexity of ${file}: windows of ${window} tokens, each from an empty state`,
    report: { text: basename(file), window, ...(tokens === undefined ? {} : { tokens }) },
    columns: [
      { title: 'tokens', cell: (row) => `${row.tokens}` },
      { title: 'nats/token', cell: (row) => row.natsPerToken.toFixed(5) },
      { title: 'bits/byte', cell: (row) => row.bitsPerByte.toFixed(4) },
      { title: 'perplexity', cell: (row) => row.perplexity.toFixed(4) },
      {
        title: 'change',
        cell: (row, first) => `${signed(100 * (row.perplexity / first.perplexity - 1), 2)} %`,
      },
      { title: 'tokens/s', cell: (row) => row.tokensPerSecond.toFixed(0) },
    ],
    check({ maxLength }) {
      if (maxLength === undefined || window + 1 <= maxLength) return
      throw new ConfigError(
        `--window ${window}: a window and the token before it are ${window + 1} tokens, ` +
          `the model takes ${maxLength} (--max-model-len)`,
      )
    },
    async run(model, show) {
      const windows = cutWindows(idsOf(options, model), window)
      const total = windows.reduce((sum, each) => sum + each.length - 1, 0)
      const start = performance.now()
      let [done, nats] = [0, 0]
      await scorePrompts(model.engine, windows, AT_ONCE, (_, logprobs) => {
        nats -= logprobs.reduce((sum, each) => sum + each, 0)
        done += logprobs.length
        show(done, total, `perplexity ${Math.exp(nats / done).toFixed(3)}`)
      })
      const bytes = spelledBytes(model.tokenizer, windows)
      return {
        tokens: done,
        natsPerToken: nats / done,
        perplexity: Math.exp(nats / done),
        bitsPerByte: nats / Math.LN2 / bytes,
        tokensPerSecond: (1000 * done) / (performance.now() - start),
      }
    },
    notes: (rows) =>
      rows.every((row) => row.tokens === rows[0].tokens)
        ? []
        : ['These models cut the text into different tokens: compare bits/byte, not perplexity.'],
  }
}

/** The text between the tokens that begin and end one. */
function idsOf(
  { file, text, tokens }: TextOptions,
  { tokenizer, generationConfig }: Pick<LoadedModel, 'tokenizer' | 'generationConfig'>,
): number[] {
  const end = tokenizer.eosTokenId ?? generationConfig.eosTokenIds[0]
  const ids = [...tokenizer.encode(text), ...(end === undefined ? [] : [end])].slice(0, tokens)
  if (ids.length >= 2) return ids
  throw new ConfigError(`--text ${file}: holds no tokens that could be predicted`)
}

/**
 * Runs of `length` + 1 ids, the last of each being the first of the next: the first id of a window is
 * only context, all others are predicted, and every id of the text but the first is predicted once.
 * What is left at the end is dropped, unless it is all there is.
 */
export function cutWindows(ids: readonly number[], length: number): number[][] {
  const count = Math.max(1, Math.floor((ids.length - 1) / length))
  return Array.from({ length: count }, (_, i) => ids.slice(i * length, (i + 1) * length + 1))
}

/** Bytes of the predicted tokens' text; special tokens have none. */
function spelledBytes(tokenizer: Tokenizer, windows: readonly (readonly number[])[]): number {
  let bytes = 0
  for (const id of windows.flatMap((window) => window.slice(1))) {
    if (!tokenizer.isSpecial(id)) bytes += tokenizer.bytes(id).length
  }
  return bytes
}
