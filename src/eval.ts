// `glaze eval`: models compared on a text or a dataset, each with one kind of weights or several.

import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { version } from '../package.json'
import type { EvalOptions } from './config-eval.ts'
import { loadModel } from './engine/load.ts'
import { openModelFiles } from './engine/model-files.ts'
import { ConfigError } from './errors.ts'
import { choiceTask, type Verdict } from './evaluation/choices.ts'
import { parseItems } from './evaluation/dataset.ts'
import { EvalProgress } from './evaluation/progress.ts'
import { Table } from './evaluation/table.ts'
import type { Task } from './evaluation/task.ts'
import { textTask } from './evaluation/text.ts'
import type { ResolvedModel } from './hub/resolve-model.ts'
import { createLogger, type Logger } from './log.ts'
import { flagOf } from './options.ts'
import { EMBEDDED_MODEL, findModel } from './serve/model.ts'

/** The text that is scored if nothing is named. */
export const EMBEDDED_TEXT = join(import.meta.dir, '../models/checkpoints/heldout.txt')

/** What a row says beside the figures of its task; written as JSON. */
export interface EvalRow {
  model: string
  quantization: EvalOptions['quantization'][number]
  /** Type of the layers' matrices on the GPU. */
  weights: string
}

/** Measures each model with each `--quantization`. Resolves to the exit code. */
export async function evaluate(options: EvalOptions): Promise<number> {
  checkOptions(options)
  if (options.dataset === undefined) {
    const file = resolve(options.text ?? EMBEDDED_TEXT)
    const { window, tokens } = options
    const text = await readText(file, '--text')
    await measure(textTask({ file, text, window, tokens }), 'tokens', options)
    return 0
  }
  const file = resolve(options.dataset)
  const items = parseItems(await readText(file, '--dataset'), file, options.limit)
  const samples: Verdict[][] = []
  const onVerdicts = (verdicts: readonly Verdict[]) => samples.push([...verdicts])
  const rows = await measure(choiceTask({ file, items, onVerdicts }), 'items', options)
  if (options.logSamples !== undefined) {
    const lines = rows.flatMap(({ model, quantization }, i) =>
      samples[i].map((verdict) => JSON.stringify({ model, quantization, ...verdict })),
    )
    await Bun.write(options.logSamples, `${lines.join('\n')}\n`)
  }
  return 0
}

/** Options of one task mean nothing to the other. */
function checkOptions({ text, dataset, window, tokens, limit, logSamples }: EvalOptions): void {
  const [given, other] = dataset === undefined ? ['--text', '--dataset'] : ['--dataset', '--text']
  const foreign = dataset === undefined ? { limit, logSamples } : { text, window, tokens }
  for (const [key, value] of Object.entries(foreign)) {
    if (value === undefined) continue
    const flag = flagOf(key)
    if (flag === other) throw new ConfigError('--text and --dataset: give one of them')
    throw new ConfigError(`${flag} goes with ${other}, not with ${given}`)
  }
}

/** Prints a table, a row as soon as it is known, and writes the report. */
async function measure<F>(
  task: Task<F>,
  unit: string,
  options: EvalOptions,
): Promise<(EvalRow & F)[]> {
  const log = createLogger({ level: 'info', format: 'auto' })
  const models = await findModels(task, options, log)
  // Figures alone on stdout for programs, the table beside them for people.
  const print = (line: string) => {
    if (options.json === '-') console.error(line)
    else console.log(line)
  }
  print(task.title)
  const rows: (EvalRow & F)[] = []
  let adapter = ''
  const table = new Table(
    models.map(({ label }) => label),
    task.columns,
  )
  for (const { label, folder } of models) {
    for (const quantization of options.quantization) {
      await using model = await loadModel({
        ...options,
        ...{ folder, quantization, maxNumSeqs: undefined },
        // Nothing is scored twice.
        ...{ prefixCacheBytes: 0, prefixCacheHostBytes: 0 },
      })
      const progress = new EvalProgress(`${label} ${quantization}`, unit)
      const figures = await task.run(model, (...args) => progress.show(...args))
      progress.end()
      rows.push({ model: label, quantization, weights: model.tuning.weights, ...figures })
      adapter = model.gpu.adapter.name
      if (rows.length === 1) print(`${adapter}\n${table.head()}`)
      print(table.line(rows[rows.length - 1], rows[0]))
    }
  }
  for (const note of task.notes(rows)) print(note)
  await writeReport(options.json, { glaze: version, adapter, ...task.report, rows })
  return rows
}

/** Finds all models before the first is measured, so that a slip in the last costs nothing. */
async function findModels(
  task: Pick<Task<unknown>, 'check'>,
  options: EvalOptions,
  log: Logger,
): Promise<(ResolvedModel & { label: string })[]> {
  const names = options.model ?? [EMBEDDED_MODEL]
  if (names.length > 1 && options.revision !== undefined) {
    throw new ConfigError(
      `--revision ${options.revision}: goes with one model, not ${names.length}`,
    )
  }
  const found: ResolvedModel[] = []
  for (const model of names) {
    const resolved = await findModel({ ...options, model }, log)
    await using files = await openModelFiles({ ...options, folder: resolved.folder })
    task.check(files)
    found.push(resolved)
  }
  const isShared = (name: string) => found.filter((other) => other.name === name).length > 1
  return found.map((each, i) => ({ ...each, label: isShared(each.name) ? names[i] : each.name }))
}

async function writeReport(file: string | undefined, report: object): Promise<void> {
  if (file === undefined) return
  const date = new Date().toISOString().slice(0, 10)
  const text = `${JSON.stringify({ date, ...report }, undefined, 2)}\n`
  if (file === '-') process.stdout.write(text)
  else await Bun.write(file, text)
}

async function readText(file: string, flag: string): Promise<string> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) throw new ConfigError(`${flag} ${file}: there is no such file`)
  if (!found.isFile()) throw new ConfigError(`${flag} ${file}: is no file`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await Bun.file(file).bytes())
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new ConfigError(`${flag} ${basename(file)}: is no text in UTF-8`)
  }
}
