// The options of `glaze convert`, as config.ts has those of `glaze serve`.

import { z } from 'zod'
import { SERVE_OPTIONS } from './config.ts'
import {
  byteCount,
  commaSeparated,
  type OptionTable,
  type OptionValues,
  text,
  truth,
  wholeNumber,
} from './options.ts'

const MAX_LAYER = 4095

/** Options of `glaze convert`. */
export const CONVERT_OPTIONS = {
  source: {
    help: 'The softmax model, Mistral, Llama, or a transformer of flash-linear-attention: a folder, or OWNER/NAME of the Hugging Face Hub, which is downloaded.',
    value: 'SOURCE',
    expects: 'a folder, or OWNER/NAME',
    type: text,
    positional: true,
  },
  out: {
    help: 'Folder to make. There must be nothing under this name.',
    value: 'OUT',
    expects: 'the name of a folder to make',
    type: text,
    positional: true,
  },
  to: {
    help: 'What takes the place of softmax attention: gla, gsa, or hybrid, which keeps some softmax layers.',
    value: 'KIND',
    expects: 'gla, gsa or hybrid',
    type: z.enum(['gla', 'gsa', 'hybrid']),
  },
  mixer: {
    help: 'The linear attention of a hybrid: gla or gsa.',
    value: 'KIND',
    expects: 'gla or gsa, and only with --to hybrid',
    type: z.enum(['gla', 'gsa']).optional(),
    otherwise: 'gla',
  },
  softmaxLayers: {
    help: 'Layers of a hybrid that stay softmax, counted from 0.',
    value: 'LAYERS',
    expects: 'layer numbers separated by commas, such as 2,5',
    type: commaSeparated(wholeNumber(0, MAX_LAYER)).optional(),
    otherwise: 'none; a hybrid needs them',
    list: true,
  },
  window: {
    help: 'Tokens that the softmax layers of a hybrid see; none: all before.',
    value: 'N',
    expects: 'none or a whole number from 1 to 16777216',
    type: z.union([z.literal('none'), wholeNumber(1, 2 ** 24)]).optional(),
    otherwise: 'as the source: its sliding window, or none',
  },
  featureMap: {
    help: 'Function of queries and keys: none, relu, swish, sigmoid, sqrelu, gelu or logsigmoid for gla; swish, relu or t2r for gsa.',
    value: 'NAME',
    expects: 'none, relu, swish, sigmoid, sqrelu, gelu, logsigmoid or t2r',
    type: z
      .enum(['none', 'relu', 'swish', 'sigmoid', 'sqrelu', 'gelu', 'logsigmoid', 't2r'])
      .optional(),
    otherwise: 'relu for gla, swish for gsa',
  },
  numSlots: {
    help: 'Memory slots of each key/value head, for gsa.',
    value: 'N',
    expects: 'a whole number from 1 to 4096, and only for gsa',
    type: wholeNumber(1, 4096).optional(),
    otherwise: '64',
  },
  gateLogitNormalizer: {
    help: 'Divisor of the log gate, for gsa; gla has a fixed one, 16. A larger one forgets more slowly.',
    value: 'N',
    expects: 'a whole number from 1 to 1000000, and only for gsa',
    type: wholeNumber(1, 1_000_000).optional(),
    otherwise: '8',
  },
  outputGate: {
    help: 'Gate the output of each layer, for gla; a new matrix as large as that of the queries.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  shortConv: {
    help: 'Short convolutions behind the projections of queries, keys and values.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  convSize: {
    help: 'Tokens that a short convolution sees.',
    value: 'N',
    expects: 'a whole number from 2 to 32, and only with --short-conv',
    type: wholeNumber(2, 32).optional(),
    otherwise: '4',
  },
  dropBias: {
    help: 'Leave out the biases of attention that the new layers cannot have.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  dropRopeScaling: {
    help: 'Give the softmax layers of a hybrid plain rotary positions where the source has scaled ones, as Llama since 3.1.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  untie: {
    help: 'Give a model whose head shares the weights of its embeddings a head of its own, which begins as a copy.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  dtype: {
    help: 'Type of the weights; keep copies them byte by byte.',
    value: 'TYPE',
    expects: 'keep, float32, float16 or bfloat16',
    type: z.enum(['keep', 'float32', 'float16', 'bfloat16']),
    fallback: 'keep',
  },
  revision: SERVE_OPTIONS.revision,
  downloadDir: SERVE_OPTIONS.downloadDir,
  seed: {
    help: 'Seed of the new weights.',
    value: 'N',
    expects: 'a whole number from 0 to 9007199254740991',
    type: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    fallback: '42',
  },
  maxShardSize: {
    help: 'Largest file of weights.',
    value: 'BYTES',
    expects: 'an amount such as 5GB or 500MiB',
    type: byteCount(1),
    fallback: '5GB',
  },
} satisfies OptionTable

export type ConvertOptions = OptionValues<typeof CONVERT_OPTIONS>
