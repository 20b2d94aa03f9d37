// The options that the commands of the bench share, and how each reads its own.
import { z } from 'zod'
import { SERVE_OPTIONS } from '../../src/config.ts'
import {
  type OptionTable,
  type OptionValues,
  parseOptions,
  text,
  wholeNumber,
} from '../../src/options.ts'
import { SHAPE_NAMES } from './shapes.ts'

/** Which model on which device, and where the figures go. */
export const MODEL_OPTIONS = {
  model: SERVE_OPTIONS.model,
  shape: {
    help: `In place of a model: random weights in the shape of one. ${SHAPE_NAMES.join(', ')}.`,
    value: 'NAME',
    expects: `one of ${SHAPE_NAMES.join(', ')}`,
    type: z.enum(SHAPE_NAMES).optional(),
    otherwise: 'the model as it is',
  },
  randomWeights: SERVE_OPTIONS.randomWeights,
  adapter: SERVE_OPTIONS.adapter,
  kernels: SERVE_OPTIONS.kernels,
  dtype: SERVE_OPTIONS.dtype,
  quantization: SERVE_OPTIONS.quantization,
  batchInvariant: SERVE_OPTIONS.batchInvariant,
  maxNumBatchedTokens: SERVE_OPTIONS.maxNumBatchedTokens,
  rounds: {
    help: 'Times that each figure is measured; the median counts.',
    value: 'N',
    expects: 'a whole number from 1 to 1000',
    type: wholeNumber(1, 1000),
    fallback: '5',
  },
  json: {
    help: 'File to write the figures to.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'none',
  },
} satisfies OptionTable

export type ModelOptions = OptionValues<typeof MODEL_OPTIONS>

/** Whole numbers above 0 with commas between them, ascending; may be empty. */
export const numberList = z
  .string()
  .transform((given) => given.split(',').filter((part) => part.trim() !== ''))
  .pipe(
    z.array(
      z
        .string()
        .trim()
        .pipe(wholeNumber(1, 2 ** 31 - 1)),
    ),
  )
  .transform((numbers) => numbers.sort((a, b) => a - b))

/** An option that lists numbers; `otherwise` says what is taken if it is left out. */
export function listOf(help: string, otherwise: string) {
  return {
    help,
    value: 'N,N',
    expects: 'whole numbers above 0 with commas between them',
    type: numberList.optional(),
    otherwise,
  }
}

/** A command of the bench, ready to read its arguments. */
export interface Command {
  /** One line. */
  summary: string
  table: OptionTable
  run(args: readonly string[]): Promise<void>
}

/** Flags alone count: the environment of a bench is not that of a server. */
export function command<T extends OptionTable>(
  summary: string,
  table: T,
  run: (options: OptionValues<T>) => Promise<void>,
): Command {
  return { summary, table, run: (args) => run(parseOptions(table, args, {})) }
}
