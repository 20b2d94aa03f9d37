// `glaze eval`: the perplexity of a text, for one kind of weights or several in turn.

import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { EvalOptions } from './config.ts'
import { type LoadedModel, loadModel } from './engine/load.ts'
import { cutWindows, type Score, scoreWindows } from './engine/perplexity.ts'
import { ConfigError } from './errors.ts'
import { createLogger } from './log.ts'
import { findModel } from './serve/model.ts'

/** The text that is scored if none is named. */
export const EMBEDDED_TEXT = join(import.meta.dir, '../models/checkpoints/heldout.txt')

/** Figures of one kind of weights; written as JSON. */
export interface EvalRow {
  quantization: EvalOptions['quantization'][number]
  /** Type of the layers' matrices on the GPU. */
  weights: string
  adapter: string
  /** Tokens predicted. */
  tokens: number
  natsPerToken: number
  perplexity: number
  /** Of the perplexity, relative to the first row: 0.01 is one percent more. */
  change: number
  tokensPerSecond: number
}

/** Scores the text once for each `--quantization`. Resolves to the exit code. */
export async function evaluate(options: EvalOptions): Promise<number> {
  const log = createLogger({ level: 'info', format: 'auto' })
  const { name, folder } = await findModel(options, log)
  const file = resolve(options.text ?? EMBEDDED_TEXT)
  const text = await readText(file)
  console.log(`${name} on ${file}: windows of ${options.window} tokens, each from an empty state`)
  const rows: EvalRow[] = []
  for (const quantization of options.quantization) {
    const row = await evaluateOnce(folder, text, options, quantization, rows[0])
    if (rows.length === 0) console.log(`${row.adapter}\n${HEAD}`)
    console.log(lineOf(row))
    rows.push(row)
  }
  if (options.json !== undefined) {
    const date = new Date().toISOString().slice(0, 10)
    const report = { date, model: name, text: basename(file), window: options.window }
    await Bun.write(options.json, `${JSON.stringify({ ...report, rows }, undefined, 2)}\n`)
  }
  return 0
}

/** Loads the model, scores, and lets go of it again. */
async function evaluateOnce(
  folder: string,
  text: string,
  options: EvalOptions,
  quantization: EvalRow['quantization'],
  first: EvalRow | undefined,
): Promise<EvalRow> {
  await using model = await loadModel({
    ...options,
    folder,
    quantization,
    maxNumSeqs: undefined,
    // Nothing is scored twice.
    prefixCacheBytes: 0,
    prefixCacheHostBytes: 0,
  })
  const windows = windowsOf(text, model, options)
  const start = performance.now()
  const { tokens, nats } = await scoreWindows(model.engine, windows, (done) =>
    showProgress(done, windows),
  )
  const seconds = (performance.now() - start) / 1000
  const perplexity = Math.exp(nats / tokens)
  return {
    quantization,
    weights: model.tuning.weights,
    adapter: model.gpu.adapter.name,
    tokens,
    natsPerToken: nats / tokens,
    perplexity,
    change: first === undefined ? 0 : perplexity / first.perplexity - 1,
    tokensPerSecond: tokens / seconds,
  }
}

/** The text between the tokens that begin and end one, cut. */
function windowsOf(text: string, model: LoadedModel, { window, tokens }: EvalOptions): number[][] {
  const { tokenizer, generationConfig, maxLength } = model
  if (maxLength !== undefined && window + 1 > maxLength) {
    throw new ConfigError(
      `--window ${window}: a window and the token before it are ${window + 1} tokens, ` +
        `the model takes ${maxLength} (--max-model-len)`,
    )
  }
  const end = tokenizer.eosTokenId ?? generationConfig.eosTokenIds[0]
  const ids = [...tokenizer.encode(text), ...(end === undefined ? [] : [end])].slice(0, tokens)
  if (ids.length < 2) throw new ConfigError('--text holds no tokens that could be predicted')
  return cutWindows(ids, window)
}

async function readText(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) throw new ConfigError(`--text ${file}: there is no such file`)
  if (!found.isFile()) throw new ConfigError(`--text ${file}: is no file`)
  return Bun.file(file).text()
}

const HEAD = ['quantization', 'weights', 'tokens', 'nats/token', 'perplexity', 'change', 'tokens/s']
  .map((title) => title.padStart(12))
  .join('')

function lineOf(row: EvalRow): string {
  return [
    row.quantization,
    row.weights,
    `${row.tokens}`,
    row.natsPerToken.toFixed(5),
    row.perplexity.toFixed(4),
    `${row.change < 0 ? '' : '+'}${(100 * row.change).toFixed(2)} %`,
    row.tokensPerSecond.toFixed(0),
  ]
    .map((cell) => cell.padStart(12))
    .join('')
}

/** One line on a terminal, written over and in the end removed. */
function showProgress({ tokens, nats }: Score, windows: readonly (readonly number[])[]): void {
  if (!process.stderr.isTTY) return
  const all = windows.reduce((sum, window) => sum + window.length - 1, 0)
  const line = `${tokens} of ${all} tokens, perplexity ${Math.exp(nats / tokens).toFixed(3)}`
  process.stderr.write(tokens < all ? `\r${line}` : `\r${' '.repeat(line.length + 8)}\r`)
}
