// What operators of other inference servers type from memory, and what glaze has in its place.

const MODEL = 'the model is an argument: glaze serve MODEL'
const ONE_GPU = 'one process drives one GPU; start one for each, behind a balancer'
const SLOTS = '--state-memory BYTES or --max-num-seqs N say how many states there are'
const KEPT = 'prefixes are kept unless --prefix-cache-bytes is 0'
const SLICES = 'prompts are always read in slices; --max-num-batched-tokens N is their size'
const LENGTH = 'here it is --max-model-len N'
const SEQUENCES = 'here it is --max-num-seqs N'
const STATES = 'states are float32, which their quality needs'
const TLS = 'leave TLS to the balancer in front'
const LOG = 'here it is --log-level LEVEL; each request has one line at level info'

/** Flags of vLLM, SGLang, TGI and llama-server that have another name here, or none for a reason. */
export const FOREIGN_FLAGS: ReadonlyMap<string, string> = new Map([
  ...['--model-path', '--model-id', '--hf-repo', '-m'].map(hint(MODEL)),
  ...[
    ...['--tensor-parallel-size', '--pipeline-parallel-size', '--data-parallel-size', '--tp-size'],
    ...['--tp', '--dp-size', '--dp', '--num-shard', '--sharded', '--tensor-split'],
  ].map(hint(ONE_GPU)),
  ...[
    ...['--gpu-memory-utilization', '--mem-fraction-static', '--cuda-memory-fraction'],
    ...['--kv-cache-memory-bytes', '--block-size', '--num-gpu-blocks-override', '--swap-space'],
  ].map(hint(SLOTS)),
  ...['--enable-prefix-caching', '--no-enable-prefix-caching', '--disable-radix-cache'].map(
    hint(KEPT),
  ),
  ...['--enable-chunked-prefill', '--no-enable-chunked-prefill', '--chunked-prefill-size'].map(
    hint(SLICES),
  ),
  ...['--max-prefill-tokens', '--max-batch-prefill-tokens', '--ubatch-size'].map(hint(SLICES)),
  ...['--context-length', '--ctx-size', '-c', '--max-total-tokens'].map(hint(LENGTH)),
  ...['--max-running-requests', '--max-concurrent-requests', '--parallel'].map(hint(SEQUENCES)),
  ...['--max-mamba-cache-size'].map(hint(SLOTS)),
  ...[
    '--kv-cache-dtype',
    '--mamba-cache-dtype',
    '--mamba-ssm-cache-dtype',
    '--mamba-ssm-dtype',
  ].map(hint(STATES)),
  ...['--ssl-keyfile', '--ssl-certfile', '--ssl-ca-certs'].map(hint(TLS)),
  ...[
    '--uvicorn-log-level',
    '--enable-log-requests',
    '--disable-log-requests',
    '--no-enable-log-requests',
  ].map(hint(LOG)),
  ['--max-queued-requests', 'here it is --max-queue N'],
  ['--allowed-origins', 'here it is --allow-origin ORIGIN'],
  ['--cors-allow-origin', 'here it is --allow-origin ORIGIN'],
  ['--hostname', 'here it is --host ADDRESS'],
  ['--alias', 'here it is --served-model-name NAME'],
  ['--quantize', 'here it is --quantization TYPE'],
  ['--device', 'here it is --adapter NAME'],
  ['--attention-backend', 'here it is --kernels VARIANT'],
  ['--seed', 'each request has its own `seed`'],
  ['--tokenizer', "the tokenizer is the checkpoint's, tokenizer.json in its folder"],
  ['--load-format', 'weights are read from safetensors only'],
  ['--trust-remote-code', 'no code of a checkpoint is ever run, so there is nothing to trust'],
  ['--enforce-eager', 'kernels are compiled once at the start; there are no graphs to turn off'],
  ['--enable-metrics', '/metrics is always there'],
  ['--json-output', 'here it is --log-format json'],
])

function hint(text: string) {
  return (flag: string): [string, string] => [flag, text]
}
