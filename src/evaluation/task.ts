// What `glaze eval` measures on each model in turn.

import type { LoadedModel } from '../engine/load.ts'
import type { ModelFiles } from '../engine/model-files.ts'

/** Told how far the measurement of a model is, and what it has found so far. */
export type ShowProgress = (done: number, total: number, found: string) => void

/** A column of the table. */
export interface Column<F> {
  title: string
  /** @param first the row that others are compared with */
  cell: (row: F, first: F) => string
}

/** A measurement with figures F. */
export interface Task<F> {
  /** One line for people: on what, and how. */
  title: string
  /** What was measured, for the JSON report. */
  report: Record<string, unknown>
  columns: readonly Column<F>[]
  /** Throws ConfigError if this model could not be measured; nothing is loaded yet. */
  check: (files: Pick<ModelFiles, 'tokenizer' | 'maxLength'>) => void
  run: (model: LoadedModel, show: ShowProgress) => Promise<F>
  /** What a reader of these rows has to know, a sentence each. */
  notes: (rows: readonly F[]) => string[]
}

/** A difference with its sign. */
export function signed(value: number, digits: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(digits)}`
}
