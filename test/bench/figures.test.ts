// The arithmetic behind the bench's figures and its plot.
import { describe, expect, test } from 'bun:test'
import { parseModelConfig } from '../../models/config.ts'
import { twinShape } from '../../models/softmax-twin.ts'
import { gapsOf } from './gap.ts'
import { type LongReport, longSvg } from './long-report.ts'
import { logTicks } from './plot.ts'
import { median, quantile } from './statistics.ts'

describe('statistics', () => {
  test('the median of an even number of values lies between two of them', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([10, 9, 1])).toBe(9)
  })

  test('quantiles do not change what they are taken of', () => {
    const values = [5, 1, 3]
    expect(quantile(values, 0)).toBe(1)
    expect(quantile(values, 1)).toBe(5)
    expect(values).toEqual([5, 1, 3])
  })
})

test('gaps are shares of the steps before them', () => {
  const at = (begin: number, end: number) => ({
    begin: BigInt(begin * 1e6),
    end: BigInt(end * 1e6),
  })
  // Steps of 10, 20 and 10 ms with gaps of 1 and 4 ms.
  const gaps = gapsOf([at(0, 10), at(11, 31), at(35, 45)])
  expect(gaps.steps).toBe(3)
  expect(gaps.stepMs).toBe(10)
  expect(gaps.gapUs).toBe(2500)
  expect(gaps.medianShare).toBeCloseTo(0.15, 12)
  expect(gaps.meanShare).toBeCloseTo(5 / 30, 12)
})

test('the cache of a 7B softmax model takes 128 KiB a token', () => {
  const config = {
    model_type: 'gla',
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_heads: 32,
    num_kv_heads: 8,
    expand_k: 1,
  }
  expect(twinShape(parseModelConfig(config, 'config.json'))).toMatchObject({
    headDim: 128,
    bytesPerToken: 128 * 1024,
  })
})

describe('plot', () => {
  test.each([
    [[100, 100_000], 10, [100, 1000, 10_000, 100_000]],
    [[9, 30], 2, [8, 16, 32]],
    [[1, 1], 2, [1, 2]],
    [[64, 2 ** 20], 4, [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576]],
    [[0.3, 2], 2, [0.25, 0.5, 1, 2]],
  ])('ticks of %p by powers of %p', (values, base, ticks) => {
    expect(logTicks(values, base)).toEqual(ticks)
  })

  test('ticks thin out and still enclose all values', () => {
    const ticks = logTicks([3, 2 ** 25], 2)
    expect(ticks.length).toBeLessThanOrEqual(8)
    expect(ticks[0]).toBeLessThanOrEqual(3)
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(2 ** 25)
  })

  test('a flat and a growing line, each point within its panel', () => {
    const row = (position: number, milliseconds: number) => ({
      position,
      milliseconds,
      low: milliseconds,
      high: milliseconds,
      gpuMilliseconds: undefined,
    })
    const report: LongReport = {
      date: '2026-11-23',
      model: 'a<b',
      adapter: 'none',
      stateBytes: 2 ** 17,
      glaze: [row(100, 10), row(100_000, 10)],
      softmax: {
        shape: { layers: 1, heads: 1, kvHeads: 1, headDim: 1, bytesPerToken: 4 },
        rows: [row(100, 10), row(10_000, 90)],
      },
    }
    const svg = longSvg(report)
    expect(svg).toContain('a&lt;b')
    const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
      points.split(' ').map((point) => point.split(',').map(Number)),
    )
    expect(lines).toHaveLength(4)
    const [stateLine, cacheLine, glazeTime, softmaxTime] = lines
    expect(stateLine[0][1]).toBe(stateLine[1][1])
    expect(glazeTime[0][1]).toBe(glazeTime[1][1])
    // The vertical axis of a picture points down.
    expect(cacheLine[0][1]).toBeGreaterThan(cacheLine[1][1])
    expect(softmaxTime[0][1]).toBeGreaterThan(softmaxTime[1][1])
    for (const [x, y] of lines.flat()) {
      expect(x).toBeWithin(72, 457)
      expect(y).toBeWithin(70, 289)
    }
  })
})
