// Requests that arrive together begin one in each round of the event loop.

import { expect, test } from 'bun:test'
import { Hono } from 'hono'
import type { AppEnv } from '../../src/http/context.ts'
import { takeTurns } from '../../src/http/guard/turns.ts'

function appThatNotes(notes: string[]): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/:name', takeTurns(), (c) => {
    notes.push(c.req.param('name'))
    return c.text('')
  })
  return app
}

test('others come in between requests that arrive together', async () => {
  const notes: string[] = []
  const app = appThatNotes(notes)
  const ask = (name: string) => app.request(`/${name}`, { method: 'POST' })
  // Somebody else, with a little to do in every round.
  let other = setImmediate(function again() {
    notes.push('other')
    other = setImmediate(again)
  })
  await Promise.all(['a', 'b', 'c'].map(ask))
  clearImmediate(other)
  expect(notes.slice(0, 5)).toEqual(['a', 'other', 'b', 'other', 'c'])
  await ask('d')
  expect(notes.at(-1)).toBe('d')
})

test('one that comes alone does not wait', async () => {
  const notes: string[] = []
  const app = appThatNotes(notes)
  const asked = app.request('/a', { method: 'POST' })
  setImmediate(() => notes.push('next round'))
  await asked
  expect(notes[0]).toBe('a')
})
