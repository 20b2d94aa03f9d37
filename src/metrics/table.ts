// The metrics of the server: one table with every name, its labels and all their values. Dashboard,
// alert rules and the README are checked against it.
//
// Names follow Prometheus' rules (base units, `_total` for counters); what each stands for follows
// vLLM, so that whoever knows its dashboards finds their way.

export const PREFIX = 'glaze_'

/** Why a generation ended, as `requests_total` tells it. */
export const FINISH_REASONS = ['stop', 'length', 'abort', 'error'] as const
export type FinishReason = (typeof FINISH_REASONS)[number]

/** Routes that generate. */
export const ENDPOINTS = ['completions', 'chat_completions', 'responses'] as const
export type Endpoint = (typeof ENDPOINTS)[number]

export const PHASES = ['prefill', 'decode'] as const
export type Phase = (typeof PHASES)[number]

export const ERROR_REASONS = ['validation', 'context_length', 'auth', 'internal'] as const
export const REJECTIONS = ['queue_full', 'draining', 'timeout'] as const

/** One metric. */
export interface MetricSpec {
  type: 'gauge' | 'counter' | 'histogram'
  help: string
  /** Labels beside `model_name`, each with all values that are there from the start. */
  labels?: Readonly<Record<string, readonly string[]>>
  /** Upper bounds of a histogram, in the unit of its name. */
  buckets?: readonly number[]
  /** Of the server and not of the model: without the label `model_name`. */
  isServer?: true
}

const TTFT = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
/** Small models decode in less than 10 ms, where vLLM's buckets only begin. */
const BETWEEN_TOKENS = [
  ...[0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06],
  ...[0.1, 0.2, 0.4, 1, 2.5],
]
const OF_REQUESTS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const TOKENS = doubling(1, 18)
const OF_STEPS = doubling(0.0002, 14)

export const METRICS = {
  requests_running: { type: 'gauge', help: 'Sequences that hold a state slot.' },
  requests_waiting: { type: 'gauge', help: 'Sequences that wait for a state slot.' },
  state_slots: {
    type: 'gauge',
    help: 'State slots: used by running sequences, cached with the state of a prefix, free.',
    labels: { state: ['used', 'cached', 'free'] },
  },
  state_slots_used_ratio: {
    type: 'gauge',
    help: 'Share of the state slots that running sequences hold, 0 to 1.',
  },
  prefix_states: { type: 'gauge', help: 'States of prompt prefixes that are kept for reuse.' },
  prefix_states_bytes: {
    type: 'gauge',
    help: 'Memory of the kept prefix states.',
    labels: { memory: ['gpu', 'host'] },
  },
  gpu_memory_bytes: {
    type: 'gauge',
    help: "GPU memory that was planned at the start; WebGPU does not tell the device's own figures.",
    labels: { kind: ['weights', 'state', 'prefix', 'workspace'] },
  },
  ready: { type: 'gauge', help: '1 while requests are taken: loaded, not draining, engine works.' },
  model_info: {
    type: 'gauge',
    help: 'Always 1; the labels tell which model is served.',
    labels: { model_type: [], revision: [], quantization: [], dtype: [] },
  },
  build_info: {
    type: 'gauge',
    help: 'Always 1; the labels tell which versions run.',
    labels: { version: [], bun: [] },
    isServer: true,
  },
  device_info: {
    type: 'gauge',
    help: 'Always 1; the labels tell what the model runs on.',
    labels: { adapter: [], vendor: [], software: [], kernels: [] },
  },
  requests_total: {
    type: 'counter',
    help: 'Requests that generated and have ended. Of several choices the worst end counts: error, abort, length, stop.',
    labels: { endpoint: ENDPOINTS, finish_reason: FINISH_REASONS },
  },
  request_errors_total: {
    type: 'counter',
    help: 'Requests that failed, by whose fault: of the client (validation, context_length, auth) or of the server (internal).',
    labels: { reason: ERROR_REASONS },
  },
  requests_rejected_total: {
    type: 'counter',
    help: 'Requests that were turned away or ran out of time: queue_full (429), draining (503), timeout (503 in the queue, 504 running).',
    labels: { reason: REJECTIONS },
  },
  prompt_tokens_total: {
    type: 'counter',
    help: 'Tokens of prompts that were read to their end, with those from the prefix cache.',
  },
  generation_tokens_total: { type: 'counter', help: 'Tokens that were generated.' },
  prefix_cache_queried_tokens_total: {
    type: 'counter',
    help: 'Tokens of prompts that were looked up in the prefix cache.',
  },
  prefix_cache_hit_tokens_total: {
    type: 'counter',
    help: 'Of those, the tokens whose state was there.',
  },
  prefix_evictions_total: { type: 'counter', help: 'Prefix states that were dropped for others.' },
  device_lost_total: {
    type: 'counter',
    help: 'Losses of the GPU device; the process ends with one.',
  },
  gpu_busy_seconds_total: {
    type: 'counter',
    help: 'Time in which the GPU worked on steps, on the clock of the host. Steps that hold prompt tokens count as prefill; sampling and copies of states are parts of their step.',
    labels: { phase: PHASES },
  },
  time_to_first_token_seconds: {
    type: 'histogram',
    help: 'From the arrival of a request to its first token.',
    buckets: TTFT,
  },
  inter_token_latency_seconds: {
    type: 'histogram',
    help: 'From one token of a sequence to the next.',
    buckets: BETWEEN_TOKENS,
  },
  request_duration_seconds: {
    type: 'histogram',
    help: 'From the arrival of a request that generates to the end of its reply.',
    buckets: OF_REQUESTS,
  },
  request_queue_seconds: {
    type: 'histogram',
    help: 'From the arrival of a sequence to its slot.',
    buckets: OF_REQUESTS,
  },
  request_prefill_seconds: {
    type: 'histogram',
    help: 'From the slot of a sequence to its first token.',
    buckets: OF_REQUESTS,
  },
  request_decode_seconds: {
    type: 'histogram',
    help: 'From the first token of a sequence to its last.',
    buckets: OF_REQUESTS,
  },
  request_prompt_tokens: {
    type: 'histogram',
    help: 'Prompt tokens of a request.',
    buckets: TOKENS,
  },
  request_generation_tokens: {
    type: 'histogram',
    help: 'Generated tokens of a request, of all its choices.',
    buckets: TOKENS,
  },
  request_max_tokens: {
    type: 'histogram',
    help: 'Most tokens that a request allows for each choice.',
    buckets: TOKENS,
  },
  step_batch_size: {
    type: 'histogram',
    help: 'Sequences in a step.',
    buckets: doubling(1, 11),
  },
  step_tokens: { type: 'histogram', help: 'Tokens that a step computes.', buckets: TOKENS },
  step_duration_seconds: {
    type: 'histogram',
    help: 'Time that a step keeps the GPU busy, as gpu_busy_seconds_total counts it.',
    labels: { phase: PHASES },
    buckets: OF_STEPS,
  },
  startup_duration_seconds: {
    type: 'gauge',
    help: 'Time that each part of the start took. Kernels are compiled while weights load.',
    labels: { phase: ['download', 'load', 'warmup'] },
  },
  http_requests_total: {
    type: 'counter',
    help: 'HTTP requests by the pattern of their route.',
    labels: { route: [], method: [], status: [] },
    isServer: true,
  },
  http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from the arrival of an HTTP request to the end of its reply.',
    labels: { route: [], method: [] },
    buckets: OF_REQUESTS,
    isServer: true,
  },
} as const satisfies Record<string, MetricSpec>

export type MetricName = keyof typeof METRICS

/** `count` bounds, each twice the one before. */
function doubling(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number((first * 2 ** i).toPrecision(12)))
}
