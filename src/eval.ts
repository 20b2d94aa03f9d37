// `glaze eval`: models compared on a text or a dataset, each with one kind of weights or several.

import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { version } from '../package.json'
import type { EvalOptions } from './config-eval.ts'
import { type LoadedModel, loadModel } from './engine/load.ts'
import { openModelFiles } from './engine/model-files.ts'
import { ConfigError } from './errors.ts'
import { choiceTask } from './evaluation/choices.ts'
import { parseItems } from './evaluation/dataset.ts'
import { readInput } from './evaluation/input.ts'
import { type Outputs, openOutputs, StdoutClosed, writeStdout } from './evaluation/output.ts'
import { EvalProgress } from './evaluation/progress.ts'
import { Table } from './evaluation/table.ts'
import type { Measure, Task } from './evaluation/task.ts'
import { textTask } from './evaluation/text.ts'
import { createLogger, type Logger } from './log.ts'
import { flagOf } from './options.ts'
import { EMBEDDED_MODEL, findModel } from './serve/model.ts'
import { CLEARED_LINE, Progress } from './serve/progress.ts'
import { BROKEN_PIPE, onEndingSignals } from './serve/signals.ts'

/** The text that is scored if nothing is named. */
export const EMBEDDED_TEXT = join(import.meta.dir, '../models/checkpoints/heldout.txt')

/** What a row says beside the figures of its task; written as JSON. */
export interface EvalRow extends Origin {
  model: string
  quantization: Quantization
  /** Type of the layers' matrices on the GPU. */
  weights: string
  /** Whether figures are the same bit by bit whatever runs together. */
  batchInvariant: boolean
}

type Quantization = EvalOptions['quantization'][number]

/** Where a model's files come from: a folder, or a commit of a repository. */
interface Origin {
  folder?: string
  repository?: string
  commit?: string
}

/** A model that is there and can be measured. */
interface Candidate<F> {
  /** In the table. */
  label: string
  folder: string
  origin: Origin
  measure: Measure<F>
}

/** Measures each model with each `--quantization`. Resolves to the exit code. */
export async function evaluate(options: EvalOptions): Promise<number> {
  checkOptions(options)
  using _signals = onEndingSignals((exitCode) => {
    if (process.stderr.isTTY) process.stderr.write(CLEARED_LINE)
    process.exit(exitCode)
  })
  try {
    const { text = EMBEDDED_TEXT, dataset, window, tokens, limit, delimiter } = options
    if (dataset === undefined) {
      const input = await readInput(text, '--text')
      await run(textTask({ ...input, window, tokens }), input.file, options)
    } else {
      const input = await readInput(dataset, '--dataset')
      const items = parseItems(input.text, input.file, limit)
      await run(choiceTask({ ...input, items, limit, delimiter }), input.file, options)
    }
    return 0
  } catch (error) {
    if (error instanceof StdoutClosed) return BROKEN_PIPE
    throw error
  }
}

/** Options of one task mean nothing to the other. */
function checkOptions(options: EvalOptions): void {
  const { text, dataset, window, tokens, limit, delimiter, logSamples } = options
  const [given, other] = dataset === undefined ? ['--text', '--dataset'] : ['--dataset', '--text']
  const foreign =
    dataset === undefined ? { limit, delimiter, logSamples } : { text, window, tokens }
  for (const [key, value] of Object.entries(foreign)) {
    if (value === undefined) continue
    const flag = flagOf(key)
    if (flag === other) throw new ConfigError('--text and --dataset: give one of them')
    throw new ConfigError(`${flag} goes with ${other}, not with ${given}`)
  }
}

/** Prints a table and writes the report, a row as soon as it is known. */
async function run<F extends object>(
  task: Task<F>,
  input: string,
  options: EvalOptions,
): Promise<void> {
  const outputs = openOutputs({ ...options, input })
  const models = await findModels(task, options, createLogger({ level: 'info', format: 'auto' }))
  const print = printer(outputs)
  await print(task.title)
  const table = new Table(
    models.map(({ label }) => label),
    task.columns,
  )
  const rows: (EvalRow & F)[] = []
  let adapter = ''
  const report = () => {
    const date = new Date().toISOString().slice(0, 10)
    const about = { date, glaze: version, adapter, ...task.report }
    return `${JSON.stringify({ ...about, maxModelLen: options.maxModelLen, rows }, undefined, 2)}\n`
  }
  for (const { label, folder, origin, measure } of models) {
    for (const quantization of options.quantization) {
      await using model = await load(folder, quantization, options)
      adapter = model.gpu.adapter.name
      // Before the first is measured, which shows whether anyone reads this.
      if (rows.length === 0) await print(`${adapter}\n${table.head()}`)
      const { figures, samples } = await measured(model, measure, `${label} ${quantization}`, task)
      const { weights, invariant: batchInvariant } = model.tuning
      const row = { model: label, ...origin, quantization, weights, batchInvariant, ...figures }
      rows.push(row)
      const lines = samples.map((each) => JSON.stringify({ model: label, quantization, ...each }))
      // A full disk does not cost the row on the screen, nor a closed screen the files.
      try {
        if (outputs.json?.isReplaceable) await outputs.json.replace(report())
        await outputs.logSamples?.append(lines.map((line) => `${line}\n`).join(''))
      } finally {
        await print(table.line(row, rows[0]))
      }
    }
  }
  for (const note of task.notes(rows)) await print(note)
  if (outputs.json?.isReplaceable === false) await outputs.json.replace(report())
}

/** Figures alone on stdout for programs, the table beside them for people. */
function printer({ takeStdout }: Outputs): (line: string) => Promise<void> {
  return async (line) => {
    if (takeStdout) console.error(line)
    else await writeStdout(`${line}\n`)
  }
}

async function load(
  folder: string,
  quantization: Quantization,
  options: EvalOptions,
): Promise<LoadedModel> {
  const progress = new Progress('loading')
  try {
    return await loadModel({
      ...options,
      ...{ folder, quantization, maxNumSeqs: undefined },
      // Nothing is scored twice.
      ...{ prefixCacheBytes: 0, prefixCacheHostBytes: 0 },
      onProgress: (done, total) => progress.show(done, total),
    })
  } finally {
    progress.end()
  }
}

async function measured<F>(
  model: LoadedModel,
  measure: Measure<F>,
  label: string,
  { unit }: Pick<Task<F>, 'unit'>,
) {
  using progress = new EvalProgress(label, unit)
  return await measure(model, (...args) => progress.show(...args))
}

/** Finds all models before the first is measured, so that a slip in the last costs nothing. */
async function findModels<F>(
  task: Task<F>,
  options: EvalOptions,
  log: Logger,
): Promise<Candidate<F>[]> {
  const names = options.model ?? [EMBEDDED_MODEL]
  if (names.length > 1 && options.revision !== undefined) {
    throw new ConfigError(
      `--revision ${options.revision}: goes with one model, not ${names.length}`,
    )
  }
  const found: Candidate<F>[] = []
  const nameByPath = new Map<string, string>()
  for (const model of names) {
    const { name: label, folder, commit } = await findModel({ ...options, model }, log)
    await using files = await openModelFiles({ ...options, folder })
    const path = await realpath(folder)
    const same = nameByPath.get(path)
    if (same !== undefined) throw new ConfigError(`MODEL ${model}: is the same model as ${same}`)
    nameByPath.set(path, model)
    const { tokenizer, maxLength, checkpoint } = files
    const { eosTokenIds } = checkpoint.generationConfig
    const measure = task.prepare({ tokenizer, maxLength, eosTokenIds })
    const origin = commit === undefined ? { folder } : { repository: label, commit }
    found.push({ label, folder, origin, measure })
  }
  const isShared = (label: string) => found.filter((other) => other.label === label).length > 1
  return found.map((each, i) => ({ ...each, label: isShared(each.label) ? names[i] : each.label }))
}
