// The options of `glaze eval`, as config.ts has those of `glaze serve`.

import { z } from 'zod'
import { SERVE_OPTIONS } from './config.ts'
import {
  commaSeparated,
  type OptionTable,
  type OptionValues,
  text,
  wholeNumber,
} from './options.ts'

/** Options of `glaze eval`. */
export const EVAL_OPTIONS = {
  model: {
    ...SERVE_OPTIONS.model,
    help: 'Checkpoint folder, or a model of the Hugging Face Hub as OWNER/NAME. Of several, each is compared with the first.',
    expects: 'folders or OWNER/NAME',
    type: commaSeparated(text).optional(),
    list: true,
  },
  revision: SERVE_OPTIONS.revision,
  downloadDir: SERVE_OPTIONS.downloadDir,
  text: {
    help: 'File with a text, whose perplexity is measured.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'a part of a book that the small models have not seen',
  },
  dataset: {
    help: 'File with multiple-choice items, one JSON object a line: {"query": "…", "choices": ["…", "…"], "gold": 0}. Choices are ranked by their log-likelihood, as lm-evaluation-harness does; no template is applied.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'none; --text is measured',
  },
  window: {
    help: 'Tokens of a text predicted in a window, behind one more that only begins it. Each is scored from an empty state.',
    value: 'N',
    expects: 'a whole number from 1 to 1048576',
    type: wholeNumber(1, 2 ** 20).optional(),
    otherwise: '512',
  },
  tokens: {
    help: 'Score no more than the first so many tokens of a text.',
    value: 'N',
    expects: 'a whole number from 2',
    type: wholeNumber(2, Number.MAX_SAFE_INTEGER).optional(),
    otherwise: 'all',
  },
  limit: {
    help: 'Answer no more than the first so many items of a dataset.',
    value: 'N',
    expects: 'a whole number from 1',
    type: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
    otherwise: 'all',
  },
  delimiter: {
    help: 'What stands between query and choice of a dataset; may be empty. It is always put there, whatever the two end or begin with.',
    value: 'TEXT',
    expects: 'a text',
    type: z.string().optional(),
    otherwise: 'one space',
  },
  quantization: {
    help: 'Weights to score with: none, int8, int4. Of several, each is compared with the first.',
    value: 'TYPE',
    expects: 'one or more of none, int8 and int4, separated by commas, each once',
    type: commaSeparated(z.enum(['none', 'int8', 'int4'])).refine(
      (types) => new Set(types).size === types.length,
    ),
    fallback: 'none',
    list: true,
  },
  json: {
    help: 'File to write the figures to, anew with each row, or - for stdout at the end; the table goes to stderr then.',
    value: 'FILE',
    expects: 'a file, or -',
    type: text.optional(),
    otherwise: 'none',
  },
  logSamples: {
    help: 'File to write what was made of each item of a dataset to, one JSON object a line, or - for stdout; the table goes to stderr then.',
    value: 'FILE',
    expects: 'a file, or -',
    type: text.optional(),
    otherwise: 'none',
  },
  adapter: SERVE_OPTIONS.adapter,
  dtype: SERVE_OPTIONS.dtype,
  kernels: SERVE_OPTIONS.kernels,
  batchInvariant: SERVE_OPTIONS.batchInvariant,
  stateMemory: SERVE_OPTIONS.stateMemory,
  maxNumBatchedTokens: SERVE_OPTIONS.maxNumBatchedTokens,
  maxModelLen: SERVE_OPTIONS.maxModelLen,
} satisfies OptionTable

export type EvalOptions = OptionValues<typeof EVAL_OPTIONS>
