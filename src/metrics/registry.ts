// The registry: prom-client's metrics, made from the table. Nothing is registered globally.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { METRICS, type MetricName, type MetricSpec, PREFIX } from './table.ts'

type Labels = Record<string, string>
type NameOf<Type> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never
}[MetricName]
export type CounterName = NameOf<'counter'>
export type GaugeName = NameOf<'gauge'>
export type HistogramName = NameOf<'histogram'>

/** All metrics of one server. */
export class Metrics {
  readonly registry = new Registry()
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, Gauge>()
  readonly #histograms = new Map<string, Histogram>()
  readonly #collectors: (() => void)[] = []

  /** @param modelName value of the label `model_name` */
  constructor(readonly modelName: string) {
    for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) this.#add(name, spec)
    processMetrics(this.registry)
  }

  increment(name: CounterName, labels: Labels = {}, by = 1): void {
    this.#counters.get(name)!.inc(this.#labels(name, labels), by)
  }

  set(name: GaugeName, value: number, labels: Labels = {}): void {
    this.#gauges.get(name)!.set(this.#labels(name, labels), value)
  }

  observe(name: HistogramName, value: number, labels: Labels = {}): void {
    this.#histograms.get(name)!.observe(this.#labels(name, labels), value)
  }

  /** Makes a counter that is kept elsewhere read so; to be called while metrics are collected. */
  setCounter(name: CounterName, value: number, labels: Labels = {}): void {
    const counter = this.#counters.get(name)!
    const all = this.#labels(name, labels)
    counter.remove(all)
    counter.inc(all, value)
  }

  /** Called before each scrape. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect)
  }

  /** The text format 0.0.4 of Prometheus. */
  text(): Promise<string> {
    for (const collect of this.#collectors) collect()
    return this.registry.metrics()
  }

  #add(key: string, spec: MetricSpec): void {
    const values = Object.entries(spec.labels ?? {})
    const settings = {
      name: PREFIX + key,
      help: spec.help,
      labelNames: [...(spec.isServer ? [] : ['model_name']), ...values.map(([label]) => label)],
      registers: [this.registry],
    }
    const series = combinations(values).map((labels) => this.#labels(key as MetricName, labels))
    // A rate of a series that was not there before its first event misses that event.
    if (spec.type === 'counter') {
      const counter = new Counter(settings)
      for (const labels of series) counter.inc(labels, 0)
      this.#counters.set(key, counter)
    } else if (spec.type === 'gauge') {
      const gauge = new Gauge(settings)
      for (const labels of series) gauge.set(labels, 0)
      this.#gauges.set(key, gauge)
    } else {
      const histogram = new Histogram({ ...settings, buckets: [...spec.buckets!] })
      for (const labels of series) histogram.zero(labels)
      this.#histograms.set(key, histogram)
    }
  }

  #labels(name: MetricName, labels: Labels): Labels {
    const { isServer }: MetricSpec = METRICS[name]
    return isServer ? labels : { model_name: this.modelName, ...labels }
  }
}

/** Every combination of the values of labels; none if a label has no values yet. */
function combinations(labels: readonly (readonly [string, readonly string[]])[]): Labels[] {
  return labels.reduce<Labels[]>(
    (before, [label, values]) =>
      before.flatMap((labels) => values.map((value) => ({ ...labels, [label]: value }))),
    [{}],
  )
}

/**
 * The usual `process_` metrics. prom-client's own set reads figures that Bun does not have or that
 * mean something else there (its heap is the reserved address space), and samples the event loop.
 */
function processMetrics(registry: Registry): void {
  const registers = [registry]
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  const start = new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start of the process, in seconds since 1970.',
    registers,
  })
  start.set(Math.round(Date.now() / 1000 - process.uptime()))
}
