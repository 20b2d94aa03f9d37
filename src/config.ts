// The options of each command: one table gives the flag, the GLAZE_ variable, the default, the check,
// the help text and the README's part. `options.ts` reads them, for `command-line.ts`.

import { z } from 'zod'
import { LOG_FORMATS, LOG_LEVELS } from './log.ts'
import {
  byteCount,
  commaSeparated,
  type OptionTable,
  type OptionValues,
  orAuto,
  seconds,
  text,
  truth,
  wholeNumber,
} from './options.ts'

/** Options of `glaze serve`. */
export const SERVE_OPTIONS = {
  model: {
    help: 'Checkpoint folder in Hugging Face layout, or a model of the Hugging Face Hub as OWNER/NAME, which is downloaded.',
    value: 'MODEL',
    expects: 'a folder or OWNER/NAME',
    type: text.optional(),
    otherwise: 'the small model that ships with glaze',
    positional: true,
  },
  revision: {
    help: 'Branch, tag or commit of a model of the hub. A commit never changes, and needs no network once it is downloaded.',
    value: 'REVISION',
    expects: 'a branch, a tag or a commit',
    type: text.optional(),
    otherwise: 'main',
  },
  downloadDir: {
    help: 'Folder for downloaded models, laid out as the cache that programs of Hugging Face share.',
    value: 'FOLDER',
    expects: 'a folder',
    type: text.optional(),
    otherwise: 'HF_HUB_CACHE, or hub in HF_HOME, or ~/.cache/huggingface/hub',
  },
  servedModelName: {
    help: 'Names under which clients ask for the model; the first one is shown in replies. Repeat the flag or separate names by commas.',
    value: 'NAME',
    expects: 'one or more names separated by commas, each once',
    type: commaSeparated(text)
      .refine((names) => new Set(names).size === names.length)
      .optional(),
    otherwise: 'OWNER/NAME, or the name of the model folder',
    list: true,
  },
  chatTemplate: {
    help: 'File with the chat template to use, in Jinja, in place of what the checkpoint has.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: "the checkpoint's own, if it has one",
  },
  host: {
    help: 'Address to listen on; 0.0.0.0 is every address of the machine.',
    value: 'ADDRESS',
    expects: 'an address or host name',
    type: text,
    fallback: '127.0.0.1',
  },
  port: {
    help: 'Port to listen on; 0 takes a free one.',
    value: 'PORT',
    expects: 'a whole number from 0 to 65535',
    type: wholeNumber(0, 65535),
    fallback: '8000',
  },
  apiKey: {
    help: 'Keys, of which clients must send one. Repeat the flag or separate keys by commas. Command lines can be read by other users of the machine: prefer the variable or --api-key-file.',
    value: 'KEY',
    expects: 'one or more keys of visible ASCII characters separated by commas',
    type: commaSeparated(z.string().regex(/^[!-~]+$/)).optional(),
    otherwise: 'clients need no key',
    list: true,
    secret: true,
    unsetTo: 'run without keys',
  },
  apiKeyFile: {
    help: 'File with more keys, one a line. Empty lines and lines that begin with # are skipped.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'none',
    unsetTo: 'run without keys',
  },
  allowOrigin: {
    help: 'Web pages that may call this server (CORS), by their origin such as https://app.example; * allows all. Repeat the flag or separate origins by commas.',
    value: 'ORIGIN',
    expects: '* or origins such as https://app.example, without a path, separated by commas',
    type: commaSeparated(text.refine(isOrigin)).optional(),
    otherwise: 'none',
    list: true,
  },
  adapter: {
    help: "GPU to run on: auto, software (the CPU), or a part of an adapter's name.",
    value: 'NAME',
    expects: "auto, software or a part of an adapter's name",
    type: text,
    fallback: 'auto',
  },
  dtype: {
    help: 'Type of the weights on the GPU, if they are not quantized.',
    value: 'TYPE',
    expects: 'auto, float16 or float32',
    type: z.enum(['auto', 'float16', 'float32']),
    fallback: 'auto',
  },
  quantization: {
    help: 'Store matrices as integers, in groups of 32 with a scale each: int8 takes half the memory of float16, int4 a quarter (embeddings, head and output matrices stay int8).',
    value: 'TYPE',
    expects: 'none, int8 or int4',
    type: z.enum(['none', 'int8', 'int4']),
    fallback: 'none',
  },
  randomWeights: {
    help: 'Random numbers in place of the weights, which the folder need not have: answers are noise, at the speed of the model.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  autotune: {
    help: 'Measure on the first start on a GPU which kernels are the fastest there, for some seconds; the result is kept in the cache folder. Otherwise those are taken that are the fastest on the GPUs that glaze was developed on.',
    expects: 'true or false',
    type: truth,
    fallback: 'true',
  },
  kernels: {
    help: 'Kernel variants to use: subgroup is fast on GPUs, plain needs no subgroups or barriers.',
    value: 'VARIANT',
    expects: 'auto, subgroup or plain',
    type: z.enum(['auto', 'subgroup', 'plain']),
    fallback: 'auto',
  },
  batchInvariant: {
    help: 'Same answer whatever else runs, bit by bit; auto: on software adapters, where it costs nothing. On GPUs 16 sequences and more decode slower with it.',
    expects: 'true, false or auto',
    type: orAuto(truth),
    fallback: 'auto',
  },
  maxNumSeqs: {
    help: 'Sequences that run at once; each holds one state slot.',
    value: 'N',
    expects: 'auto or a whole number from 1 to 65536',
    type: orAuto(wholeNumber(1, 65536)),
    fallback: 'auto',
  },
  stateMemory: {
    help: 'GPU memory for the state slots, for example 4GiB or 512MiB.',
    value: 'BYTES',
    expects: 'auto or an amount such as 4GiB, 512MiB, 2GB or 1000000',
    type: orAuto(byteCount(1)),
    fallback: 'auto',
  },
  prefixCacheBytes: {
    help: 'GPU memory for the states of prompt prefixes that later requests may share; 0 is off.',
    value: 'BYTES',
    expects: 'auto or an amount such as 4GiB, 512MiB, 1000000 or 0',
    type: orAuto(byteCount(0)),
    fallback: 'auto',
  },
  prefixCacheHostBytes: {
    help: 'Host memory for the prefix states that no longer fit in the GPU memory; 0 is off.',
    value: 'BYTES',
    expects: 'auto or an amount such as 4GiB, 512MiB, 1000000 or 0',
    type: orAuto(byteCount(0)),
    fallback: 'auto',
  },
  maxNumBatchedTokens: {
    help: 'Most prompt tokens in one step. Lower values shorten the pauses of running streams.',
    value: 'N',
    expects: 'a multiple of 64 from 64 to 65536',
    type: wholeNumber(64, 65536).refine((tokens) => tokens % 64 === 0),
    fallback: '512',
  },
  maxModelLen: {
    help: 'Most tokens of prompt and completion together; auto: as many as the model can take.',
    value: 'N',
    expects: 'auto or a whole number from 1 to 2147483647',
    type: orAuto(wholeNumber(1, 2 ** 31 - 1)),
    fallback: 'auto',
  },
  maxQueue: {
    help: 'Sequences that may wait for a slot; beyond it clients get status 429.',
    value: 'N',
    expects: 'a whole number from 0 to 1000000',
    type: wholeNumber(0, 1_000_000),
    fallback: '1024',
  },
  maxStoredResponses: {
    help: 'Responses of /v1/responses that are kept in memory to be continued; 0 keeps none.',
    value: 'N',
    expects: 'a whole number from 0 to 1000000',
    type: wholeNumber(0, 1_000_000),
    fallback: '1000',
  },
  maxBodyBytes: {
    help: 'Largest request body; larger ones get status 413.',
    value: 'BYTES',
    expects: 'an amount from 1KiB to 1GiB such as 4MiB or 1000000',
    type: byteCount(2 ** 10).pipe(z.number().max(2 ** 30)),
    fallback: '4MiB',
  },
  // No limits of time unless asked for: the queue is bounded, a client that hangs up leaves it at
  // once, and batch jobs wait and run for as long as it takes.
  queueTimeout: {
    help: 'Seconds that a request may wait for a slot before it gets status 503; 0: no limit.',
    value: 'SECONDS',
    expects: 'seconds from 0 to 86400',
    type: seconds,
    fallback: '0',
  },
  requestTimeout: {
    help: 'Seconds from arrival to the last token before a request is ended by status 504; 0: no limit.',
    value: 'SECONDS',
    expects: 'seconds from 0 to 86400',
    type: seconds,
    fallback: '0',
  },
  healthTimeout: {
    help: 'Seconds without the end of a step after which /health answers 503 while there is work.',
    value: 'SECONDS',
    expects: 'seconds from 1 to 86400',
    type: seconds.pipe(z.number().min(1)),
    fallback: '120',
  },
  drainDelay: {
    help: 'Seconds after SIGTERM in which requests are still taken while /ready answers 503, for balancers that learn late.',
    value: 'SECONDS',
    expects: 'seconds from 0 to 86400',
    type: seconds,
    fallback: '0',
  },
  shutdownTimeout: {
    help: 'Seconds that running and queued requests get to finish after SIGTERM (and --drain-delay).',
    value: 'SECONDS',
    expects: 'seconds from 0 to 86400',
    type: seconds,
    fallback: '30',
  },
  metricsPort: {
    help: 'Port for /metrics alone, which the main port does not answer then.',
    value: 'PORT',
    expects: 'a whole number from 1 to 65535',
    type: wholeNumber(1, 65535).optional(),
    otherwise: 'the main port',
  },
  metricsCompat: {
    help: 'vllm: show the most used figures under the names of vLLM as well, for routers, dashboards and scalers that read those.',
    value: 'NAMES',
    expects: 'none or vllm',
    type: z.enum(['none', 'vllm']),
    fallback: 'none',
  },
  logLevel: {
    help: `Least level that is logged: ${LOG_LEVELS.join(', ')}.`,
    value: 'LEVEL',
    expects: `one of ${LOG_LEVELS.join(', ')}`,
    type: z.enum(LOG_LEVELS),
    fallback: 'info',
  },
  logFormat: {
    help: 'json, text, or auto: text if stderr is a terminal.',
    value: 'FORMAT',
    expects: `one of ${LOG_FORMATS.join(', ')}`,
    type: z.enum(LOG_FORMATS),
    fallback: 'auto',
  },
  logPrompts: {
    help: 'Write the first 2,000 characters of prompts to the log.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
} satisfies OptionTable

export type ServeOptions = OptionValues<typeof SERVE_OPTIONS>

/** Whether a browser would send this text as the origin of some page; `*` stands for all. */
function isOrigin(given: string): boolean {
  if (given === '*') return true
  // Applications in a web view have schemes of their own, which URL gives no origin.
  if (!/^https?:/.test(given)) return /^[a-z][a-z\d+.-]*:\/\/[a-z\d.-]+(:\d+)?$/.test(given)
  return !given.includes('*') && URL.parse(given)?.origin === given
}
