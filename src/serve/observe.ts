// What a server tells about itself: the metrics of its parts, and the line of a busy engine.

import { version } from '../../package.json'
import type { LoadedModel } from '../engine/load.ts'
import type { EngineObserver } from '../engine/observer.ts'
import type { Logger } from '../log.ts'
import { Activity } from '../metrics/activity.ts'
import { engineMetrics, httpMetrics } from '../metrics/observers.ts'
import { Metrics } from '../metrics/registry.ts'
import { describeBuild, watchServer } from '../metrics/server-gauges.ts'
import { addVllmNames } from '../metrics/vllm-names.ts'

/** Between two lines about a busy engine. */
const ACTIVITY_MS = 5000

export interface ObserveOptions {
  /** Value of the label `model_name`. */
  modelName: string
  /** --metrics-compat */
  compat: 'none' | 'vllm'
  log: Logger
}

/** What the log and the label of metrics call the types of weights. */
export const WEIGHTS = { f32: 'float32', f16: 'float16', int8: 'int8', int4: 'int4' } as const

/** The observers of a server's parts, from before the model is loaded. */
export class Observation implements Disposable {
  readonly metrics: Metrics
  readonly http: ReturnType<typeof httpMetrics>
  /** Told by the engine. */
  readonly engine: EngineObserver
  #model: LoadedModel | undefined
  readonly #timer: ReturnType<typeof setInterval>

  constructor({ modelName, compat, log }: ObserveOptions) {
    this.metrics = new Metrics(modelName)
    describeBuild(this.metrics, version)
    if (compat === 'vllm') addVllmNames(this.metrics)
    this.http = httpMetrics(this.metrics)
    const nothing = { running: 0, waiting: 0, slots: 0, freeSlots: 0 }
    const activity = new Activity(() => this.#model?.engine.stats() ?? nothing, log.info)
    const counted = engineMetrics(this.metrics)
    this.engine = {
      step: counted.step,
      ended: counted.ended,
      prompt(prompt) {
        counted.prompt(prompt)
        activity.prompt(prompt)
      },
      token(secondsSinceLast) {
        counted.token(secondsSinceLast)
        activity.token()
      },
    }
    this.#timer = setInterval(() => activity.tick(), ACTIVITY_MS)
    this.#timer.unref()
  }

  /** The lines of /metrics. */
  text(): Promise<string> {
    return this.metrics.text()
  }

  /**
   * From here on the gauges are those of this model.
   * @param startup seconds that downloading, and loading with the warm-up took
   */
  watch(
    model: LoadedModel,
    startup: { download: number; load: number },
    { revision = '', isDraining }: { revision?: string; isDraining: () => boolean },
  ): void {
    this.#model = model
    const { plan, gpu, tuning, engine, modelType } = model
    const { adapter } = gpu
    const weights = WEIGHTS[tuning.weights]
    const isQuantized = tuning.weights === 'int8' || tuning.weights === 'int4'
    const warmup = model.warmUpMs / 1000
    gpu.lost.then(() => this.metrics.increment('device_lost_total'))
    watchServer(
      this.metrics,
      {
        memory: {
          weights: plan.weightBytes,
          state: plan.slots * plan.slotBytes,
          prefix: plan.snapshots * plan.snapshotBytes,
          workspace: plan.workBytes,
        },
        model: {
          ...{ model_type: modelType, revision },
          quantization: isQuantized ? weights : 'none',
          dtype: isQuantized ? 'int8' : weights,
        },
        device: {
          ...{ adapter: adapter.name, vendor: adapter.vendor, software: adapter.software },
          kernels: tuning.variant,
        },
        startup: { download: startup.download, load: startup.load - warmup, warmup },
      },
      { stats: () => engine.stats(), isDraining },
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
