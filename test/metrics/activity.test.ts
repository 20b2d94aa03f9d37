// The line about a busy engine.

import { expect, test } from 'bun:test'
import { Activity } from '../../src/metrics/activity.ts'

test('tells rates of the time since the last line, and nothing of an idle engine', () => {
  let now = 0
  let running = 0
  const lines: object[] = []
  const activity = new Activity(
    () => ({ running, waiting: 2 * running, slots: 4, freeSlots: 4 - running }),
    (_, fields) => lines.push(fields),
    () => now,
  )
  now = 5000
  activity.tick()
  expect(lines).toEqual([])

  activity.prompt({ tokens: 30, cached: 10 })
  for (let i = 0; i < 50; i++) activity.token()
  running = 1
  now = 10_000
  activity.tick()
  expect(lines).toEqual([
    {
      ...{ running: 1, waiting: 2, slots_used: 1, slots: 4 },
      ...{ prompt_tokens_per_s: 6, generation_tokens_per_s: 10, prefix_hit_rate: 0.333 },
    },
  ])

  now = 15_000
  activity.tick()
  expect(lines[1]).toMatchObject({ generation_tokens_per_s: 0, prefix_hit_rate: undefined })
  running = 0
  now = 20_000
  activity.tick()
  expect(lines).toHaveLength(2)
})
