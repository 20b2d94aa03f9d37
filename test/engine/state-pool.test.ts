import { expect, test } from 'bun:test'
import { StatePool } from '../../src/engine/state-pool.ts'

test('slots are taken from the lowest on, and the one that came back last goes first', () => {
  const pool = new StatePool(3)
  expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 2, undefined])
  pool.giveBack(2)
  pool.giveBack(0)
  expect([pool.free, pool.size]).toEqual([2, 3])
  expect([pool.take(), pool.take(), pool.take()]).toEqual([0, 2, undefined])
})

test.each<[string, number, (pool: StatePool) => void]>([
  ['twice', 0, (pool) => pool.giveBack(pool.take()!)],
  ['that was never taken', 0, () => {}],
  ['that is not there', 2, () => {}],
])('a slot %s cannot be given back', (_, slot, prepare) => {
  const pool = new StatePool(2)
  prepare(pool)
  expect(() => pool.giveBack(slot)).toThrow(`slot ${slot} given back but not taken`)
  expect(pool.free).toBe(2)
})
