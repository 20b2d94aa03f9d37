// What `glaze eval` measures on each model in turn.

import type { LoadedModel } from '../engine/load.ts'
import type { Engine } from '../engine/request.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

/** Told how far the measurement of a model is, and what it has found so far. */
export type ShowProgress = (done: number, total: number, found: string) => void

/** A column of the table. */
export interface Column<F> {
  title: string
  /** @param first the row that others are compared with */
  cell: (row: F, first: F) => string
}

/** What is known of a model before it is loaded. */
export interface Reader {
  tokenizer: Pick<Tokenizer, 'encode' | 'bytes' | 'isSpecial' | 'bosTokenId' | 'eosTokenId'>
  /** Of generation_config.json; may be none. */
  eosTokenIds: readonly number[]
  /** Most tokens that the model takes; undefined: no bound. */
  maxLength: number | undefined
}

/** The parts of a loaded model that a measurement runs on. */
export interface Scorer {
  engine: Pick<Engine, 'submit'>
  plan: Pick<LoadedModel['plan'], 'slots'>
}

export interface Measured<F> {
  figures: F
  /** What was made of each item; a text has none. */
  samples: readonly object[]
}

/** The measurement of one model. */
export type Measure<F> = (model: Scorer, show: ShowProgress) => Promise<Measured<F>>

/** A measurement with figures F. */
export interface Task<F> {
  /** One line for people: on what, and how. */
  title: string
  /** What is counted while it runs. */
  unit: string
  /** What was measured, for the JSON report. */
  report: Record<string, unknown>
  columns: readonly Column<F>[]
  /**
   * Reads what is measured as a model does that is not loaded yet. The first one is what others are
   * compared with. Throws ConfigError if this model could not be measured.
   */
  prepare: (reader: Reader) => Measure<F>
  /** What a reader of these rows has to know, a sentence each. */
  notes: (rows: readonly F[]) => string[]
}

/** A difference with its sign. */
export function signed(value: number, digits: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(digits)}`
}

/** The ids of a text without what a tokenizer puts around it. */
export function plainIds(tokenizer: Reader['tokenizer'], text: string): number[] {
  return tokenizer.encode(text, { addSpecialTokens: false })
}
