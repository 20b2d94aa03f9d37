// Gauges of the server: read from its parts when a scrape comes.

import type { Metrics } from './registry.ts'

/** What can be read of a loaded server, at any time. */
export interface ServerState {
  stats(): {
    slots: number
    freeSlots: number
    waiting: number
    running: number
    prefixCache: { snapshots: number; gpuBytes: number; hostBytes: number; evicted: number }
    fault: string | undefined
  }
  isDraining(): boolean
}

/** What does not change once a server is loaded. */
export interface ServerFacts {
  /** Bytes on the GPU. */
  memory: { weights: number; state: number; prefix: number; workspace: number }
  model: { model_type: string; revision: string; quantization: string; dtype: string }
  device: { adapter: string; vendor: string; software: boolean; kernels: string }
  /** Seconds. */
  startup: { download: number; load: number; warmup: number }
}

/** Versions, which are known before a model is. */
export function describeBuild(metrics: Metrics, version: string): void {
  metrics.set('build_info', 1, { version, bun: Bun.version })
}

/** Sets what does not change, and reads the rest at each scrape. */
export function watchServer(metrics: Metrics, facts: ServerFacts, state: ServerState): void {
  for (const [kind, bytes] of Object.entries(facts.memory)) {
    metrics.set('gpu_memory_bytes', bytes, { kind })
  }
  for (const [phase, seconds] of Object.entries(facts.startup)) {
    metrics.set('startup_duration_seconds', seconds, { phase })
  }
  metrics.set('model_info', 1, facts.model)
  metrics.set('device_info', 1, { ...facts.device, software: String(facts.device.software) })
  metrics.onCollect(() => {
    const { slots, freeSlots, waiting, running, prefixCache, fault } = state.stats()
    const used = slots - freeSlots
    metrics.set('requests_running', running)
    metrics.set('requests_waiting', waiting)
    metrics.set('state_slots', used, { state: 'used' })
    metrics.set('state_slots', freeSlots, { state: 'free' })
    metrics.set('state_slots', prefixCache.snapshots, { state: 'cached' })
    metrics.set('state_slots_used_ratio', used / slots)
    metrics.set('prefix_states', prefixCache.snapshots)
    metrics.set('prefix_states_bytes', prefixCache.gpuBytes, { memory: 'gpu' })
    metrics.set('prefix_states_bytes', prefixCache.hostBytes, { memory: 'host' })
    metrics.setCounter('prefix_evictions_total', prefixCache.evicted)
    metrics.set('ready', fault === undefined && !state.isDraining() ? 1 : 0)
  })
}
