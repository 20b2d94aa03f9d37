// Perplexity of a text: cut into windows, each scored from an empty state.

import { ConfigError } from '../errors.ts'
import type { Input } from './input.ts'
import { scorePrompts } from './score.ts'
import { plainIds, type Reader, signed, type Task } from './task.ts'

/** Tokens predicted in a window: what the figures of the shipped models were taken with. */
export const DEFAULT_WINDOW = 512

/** Windows that wait for the GPU at once. */
const AT_ONCE = 4

export interface TextFigures {
  /** Tokens predicted. */
  tokens: number
  /** Bytes of text that they spell. */
  bytes: number
  /** Tokens at the end that fill no window. */
  leftOut: number
  natsPerToken: number
  perplexity: number
  /** Over `bytes`: comparable among tokenizers. */
  bitsPerByte: number
  tokensPerSecond: number
  /** Whether the windows hold the same tokens as those of the first model. */
  sameTokens: boolean
}

export interface TextOptions extends Input {
  /** Tokens predicted in a window. */
  window?: number
  /** The first tokens of the text only. */
  tokens?: number
}

/** The task of scoring a text. Throws ConfigError for a text of nothing. */
export function textTask(options: TextOptions): Task<TextFigures> {
  const { file, text, sha256, window = DEFAULT_WINDOW, tokens } = options
  if (text === '') throw new ConfigError(`--text ${file}: is empty`)
  let first: number[][] | undefined
  return {
    title: `perplexity of ${file}: windows of ${window} tokens, each from an empty state`,
    unit: 'tokens',
    report: { text: file, sha256, window, tokens },
    columns: [
      { title: 'tokens', cell: (row) => `${row.tokens}` },
      { title: 'bytes', cell: (row) => `${row.bytes}` },
      { title: 'nats/token', cell: (row) => row.natsPerToken.toFixed(5) },
      { title: 'bits/byte', cell: (row) => row.bitsPerByte.toFixed(4) },
      { title: 'perplexity', cell: (row) => row.perplexity.toFixed(4) },
      {
        title: 'change',
        cell: (row, first) =>
          row.sameTokens ? `${signed(100 * (row.perplexity / first.perplexity - 1), 2)} %` : '-',
      },
      { title: 'tokens/s', cell: (row) => row.tokensPerSecond.toFixed(0) },
    ],
    prepare(reader) {
      checkWindow(window, reader.maxLength)
      const ids = idsOf(options, reader)
      const windows = cutWindows(ids, window)
      const total = windows.reduce((sum, each) => sum + each.length - 1, 0)
      const bytes = spelledBytes(reader, windows)
      if (bytes === 0) throw new ConfigError(`--text ${file}: holds no tokens that spell anything`)
      first ??= windows
      const sameTokens = Bun.deepEquals(windows, first)
      return async ({ engine }, show) => {
        const start = performance.now()
        let [done, nats] = [0, 0]
        await scorePrompts(engine, windows, AT_ONCE, (_, logprobs) => {
          nats -= logprobs.reduce((sum, each) => sum + each, 0)
          done += logprobs.length
          show(done, total, `perplexity ${Math.exp(nats / done).toFixed(3)}`)
        })
        const figures = {
          ...{ tokens: total, bytes, leftOut: ids.length - 1 - total, sameTokens },
          natsPerToken: nats / total,
          perplexity: Math.exp(nats / total),
          bitsPerByte: nats / Math.LN2 / bytes,
          tokensPerSecond: (1000 * total) / (performance.now() - start),
        }
        return { figures, samples: [] }
      }
    },
    notes(rows) {
      const most = Math.max(...rows.map(({ leftOut }) => leftOut))
      const leftOut = rows.every((row) => row.leftOut === most) ? `${most}` : `Up to ${most}`
      const fill = most === 1 ? 'token at the end fills' : 'tokens at the end fill'
      const was = most === 1 ? 'was' : 'were'
      return [
        ...(most === 0 ? [] : [`${leftOut} ${fill} no window of ${window} and ${was} left out.`]),
        ...(rows.every(({ sameTokens }) => sameTokens)
          ? []
          : [
              'These models cut the text into different tokens: compare bits/byte, not perplexity.',
            ]),
      ]
    },
  }
}

function checkWindow(window: number, maxLength: number | undefined): void {
  if (maxLength === undefined || window + 1 <= maxLength) return
  throw new ConfigError(
    `--window ${window}: a window and the token before it are ${window + 1} tokens, ` +
      `the model takes ${maxLength} (--max-model-len)`,
  )
}

/** The text between the tokens that begin and end one. */
function idsOf({ file, text, tokens }: TextOptions, { tokenizer, eosTokenIds }: Reader): number[] {
  const end = tokenizer.eosTokenId ?? eosTokenIds[0]
  const ids = [...tokenizer.encode(text), ...(end === undefined ? [] : [end])].slice(0, tokens)
  // White space gives some tokenizers nothing; what stands around a text would be measured alone.
  if (ids.length >= 2 && plainIds(tokenizer, text).length > 0) return ids
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
function spelledBytes({ tokenizer }: Reader, windows: readonly (readonly number[])[]): number {
  let bytes = 0
  for (const id of windows.flatMap((window) => window.slice(1))) {
    if (!tokenizer.isSpecial(id)) bytes += tokenizer.bytes(id).length
  }
  return bytes
}
