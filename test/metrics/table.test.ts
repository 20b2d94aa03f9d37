// The table of metrics and what is made of it: names that keep Prometheus' rules, series from the
// start, a dashboard and alert rules that know no other names.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Metrics } from '../../src/metrics/registry.ts'
import { METRICS, type MetricSpec, PREFIX } from '../../src/metrics/table.ts'
import { addVllmNames, VLLM_NAMES } from '../../src/metrics/vllm-names.ts'
import { parseMetrics } from './format.ts'

const FOLDER = join(import.meta.dir, '../../src/metrics')
const specs = Object.entries<MetricSpec>(METRICS)
const PROCESS = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
]

describe('the table', () => {
  test.each(specs)('%s keeps the rules of naming', (name, { type, help, buckets }) => {
    expect(name).toMatch(/^[a-z][a-z_]*$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(name).not.toMatch(/_(ms|milliseconds|percent|gb|mb)(_|$)/)
    expect(help).toMatch(/\.$/)
    expect(buckets !== undefined).toBe(type === 'histogram')
    expect(buckets ?? []).toEqual([...new Set(buckets)].sort((a, b) => a - b))
  })

  test('has every series at 0 before anything happens', async () => {
    const families = parseMetrics(await new Metrics('tales').text())
    expect([...families.keys()]).toEqual([...specs.map(([name]) => PREFIX + name), ...PROCESS])
    for (const [name, spec] of specs) {
      const { type, series } = families.get(PREFIX + name)!
      expect(type).toBe(spec.type)
      const known = Object.values(spec.labels ?? {})
      const count = known.reduce((product, values) => product * values.length, 1)
      const each = spec.buckets ? spec.buckets.length + 3 : 1
      expect([name, series.size]).toEqual([name, count * each])
      expect([...series.values()].every((value) => value === 0)).toBe(true)
    }
  })

  test('repeats its figures under the names of vLLM', async () => {
    const metrics = new Metrics('tales')
    addVllmNames(metrics)
    metrics.increment('prompt_tokens_total', {}, 12)
    metrics.onCollect(() => metrics.set('requests_waiting', 3))
    await metrics.text()
    const families = parseMetrics(await metrics.text())
    for (const [name, type, source] of VLLM_NAMES) {
      expect(families.get(name)?.type).toBe(type)
      const [ours] = families.get(PREFIX + source)!.series.values()
      expect([...families.get(name)!.series]).toEqual([[`${name}{model_name="tales"}`, ours]])
    }
    expect([...families.get('vllm:prompt_tokens_total')!.series.values()]).toEqual([12])
    expect([...families.get('vllm:num_requests_waiting')!.series.values()]).toEqual([3])
  })
})

/** Names of metrics in an expression, without the suffixes of histograms. */
function namesIn(expression: string): string[] {
  const names = expression.match(/\b(glaze|process)_[a-z_]+/g) ?? []
  return names.map((name) => name.replace(/_(bucket|sum|count)$/, ''))
}

const known = new Set([...specs.map(([name]) => PREFIX + name), ...PROCESS])

interface Panel {
  type: string
  title: string
  datasource?: { uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig?: { defaults: { unit: string } }
  targets?: { expr: string; legendFormat: string }[]
}

describe('the dashboard', async () => {
  const dashboard = await Bun.file(join(FOLDER, 'dashboard.json')).json()
  const all: Panel[] = dashboard.panels
  const panels = all.filter(({ type }) => type !== 'row')

  test.each(panels.map((panel) => [panel.title, panel] as const))('%s can be drawn', (_, panel) => {
    expect(panel.datasource?.uid).toMatch(/^\$\{DS_PROMETHEUS\}$/)
    expect(panel.fieldConfig?.defaults.unit).toBeTruthy()
    expect(panel.targets?.length).toBeGreaterThan(0)
    for (const { expr, legendFormat } of panel.targets ?? []) {
      expect(legendFormat).toBeTruthy()
      const names = namesIn(expr)
      expect(names.length).toBeGreaterThan(0)
      expect(names.filter((name) => !known.has(name))).toEqual([])
      expect(expr.match(/[({]/g)?.length).toBe(expr.match(/[)}]/g)?.length)
      if (/rate\(|increase\(/.test(expr)) expect(expr).toContain('[$__rate_interval]')
      expect(expr).toContain('$instance')
    }
  })

  test('has panels that do not lie on each other, and ids of their own', () => {
    const cells = all.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    const ids = dashboard.panels.map(({ id }: { id: number }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('shows every histogram of the table but those of sizes', () => {
    const shown = new Set(
      panels.flatMap(({ targets = [] }) => targets.flatMap((t) => namesIn(t.expr))),
    )
    const missing = specs
      .filter(([name, { type }]) => type === 'histogram' && /_seconds$/.test(name))
      .map(([name]) => PREFIX + name)
      .filter((name) => !shown.has(name) && !name.includes('http'))
    expect(missing).toEqual([])
  })
})

describe('the alert rules', async () => {
  const text = await Bun.file(join(FOLDER, 'alerts.yaml')).text()
  const { groups } = Bun.YAML.parse(text) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[]
  }
  const rules = groups.flatMap((group) => group.rules)

  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s knows its metrics', (_, rule) => {
    expect(rule.alert).toMatch(/^Glaze[A-Za-z]+$/)
    expect(rule.annotations.summary).toBeTruthy()
    expect(namesIn(rule.expr).filter((name) => !known.has(name))).toEqual([])
  })

  test('watch the device, readiness and the queue', () => {
    const names = rules.flatMap(({ expr }) => namesIn(expr))
    expect(names).toEqual(
      expect.arrayContaining(['glaze_device_lost_total', 'glaze_ready', 'glaze_requests_waiting']),
    )
  })
})

const promtool = Bun.which('promtool')

describe.skipIf(!promtool)('promtool, if it is installed,', () => {
  const run = async (args: string[], input = '') => {
    const child = Bun.spawn([promtool!, ...args], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })
    child.stdin.write(input)
    await child.stdin.end()
    const output =
      (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    return { code: await child.exited, output }
  }

  test('has nothing to say against the metrics', async () => {
    expect(await run(['check', 'metrics'], await new Metrics('tales').text())).toEqual({
      ...{ code: 0, output: '' },
    })
  })

  test('accepts the alert rules', async () => {
    const { code, output } = await run(['check', 'rules', join(FOLDER, 'alerts.yaml')])
    expect({ code, output }).toMatchObject({ code: 0 })
  })
})
