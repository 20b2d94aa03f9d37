// The table of an evaluation: a row for each model and kind of weights.

import type { Column } from './task.ts'

const GAP = '  '
const LEAST_WIDTH = 10

/** Rows as lines of equal columns: names to the left, figures to the right. */
export class Table<F> {
  readonly #columns: readonly Column<F>[]
  readonly #nameWidth: number

  /** @param names all that will stand in the first column */
  constructor(names: readonly string[], columns: readonly Column<F>[]) {
    this.#columns = columns
    this.#nameWidth = Math.max(...[...names, 'model'].map((name) => name.length))
  }

  head(): string {
    const titles = this.#columns.map(({ title }) => title)
    return this.#join('model', ['quantization', 'weights', ...titles])
  }

  line(row: F & { model: string; quantization: string; weights: string }, first: F): string {
    const cells = this.#columns.map(({ cell }) => cell(row, first))
    return this.#join(row.model, [row.quantization, row.weights, ...cells])
  }

  #join(name: string, [quantization, ...cells]: string[]): string {
    const figures = cells.map((cell) => cell.padStart(LEAST_WIDTH))
    return [name.padEnd(this.#nameWidth), quantization.padEnd(12), ...figures].join(GAP)
  }
}
