// `--metrics-compat vllm`: the figures under the names that routers, dashboards and scalers made for
// vLLM read. The old names are those of the router of vLLM's production stack.

import { Counter, Gauge } from 'prom-client'
import type { Metrics } from './registry.ts'
import { PREFIX } from './table.ts'

/** vLLM's name, of what type it is, and which of ours it repeats. */
export const VLLM_NAMES = [
  ['vllm:num_requests_running', 'gauge', 'requests_running'],
  ['vllm:num_requests_waiting', 'gauge', 'requests_waiting'],
  ['vllm:kv_cache_usage_perc', 'gauge', 'state_slots_used_ratio'],
  ['vllm:gpu_cache_usage_perc', 'gauge', 'state_slots_used_ratio'],
  ['vllm:prompt_tokens_total', 'counter', 'prompt_tokens_total'],
  ['vllm:generation_tokens_total', 'counter', 'generation_tokens_total'],
  ['vllm:prefix_cache_hits_total', 'counter', 'prefix_cache_hit_tokens_total'],
  ['vllm:prefix_cache_queries_total', 'counter', 'prefix_cache_queried_tokens_total'],
  ['vllm:gpu_prefix_cache_hits_total', 'counter', 'prefix_cache_hit_tokens_total'],
  ['vllm:gpu_prefix_cache_queries_total', 'counter', 'prefix_cache_queried_tokens_total'],
] as const

/** Adds vLLM's names to the registry; each repeats the figure of ours at every scrape. */
export function addVllmNames(metrics: Metrics): void {
  const { registry, modelName } = metrics
  for (const [name, type, source] of VLLM_NAMES) {
    const ours = registry.getSingleMetric(PREFIX + source)!
    const valueNow = async () => (await ours.get()).values[0]?.value ?? 0
    const settings = {
      name,
      help: `As ${PREFIX}${source}.`,
      labelNames: ['model_name'],
      registers: [registry],
    }
    if (type === 'gauge') {
      new Gauge({
        ...settings,
        async collect() {
          this.set({ model_name: modelName }, await valueNow())
        },
      })
    } else {
      new Counter({
        ...settings,
        async collect() {
          const value = await valueNow()
          this.reset()
          this.inc({ model_name: modelName }, value)
        },
      })
    }
  }
}
