// What is kept of responses: their items, page by page, and what happens where there is no room.

import { describe, expect, test } from 'bun:test'
import { assistant, user } from './chat-app.ts'
import { responsesApp } from './responses-app.ts'
import type { Json } from './test-app.ts'

describe('input_items', () => {
  const ids = Array.from({ length: 25 }, (_, index) => `msg_${index}`)
  const [first, last] = [ids[0], ids[24]]

  async function listing() {
    const { app, reply } = responsesApp()
    const { id } = await reply({ input: ids.map((each) => ({ ...user('x'), id: each })) })
    return async (query: string): Promise<Json> => {
      const response = await app.request(`/v1/responses/${id}/input_items${query}`)
      return { status: response.status, ...((await response.json()) as Json) }
    }
  }

  test.each<[string, string[], boolean]>([
    ['', ids.toReversed().slice(0, 20), true],
    ['?order=asc', ids.slice(0, 20), true],
    ['?limit=100', ids.toReversed(), false],
    ['?limit=25', ids.toReversed(), false],
    ['?limit=2&order=asc&after=msg_3', ['msg_4', 'msg_5'], true],
    ['?limit=2&after=msg_3', ['msg_2', 'msg_1'], true],
    ['?after=msg_2', ['msg_1', first], false],
    [`?order=asc&after=${last}`, [], false],
  ])('%p', async (query, expected, hasMore) => {
    const list = await (await listing())(query)
    expect(list.data.map(({ id }: Json) => id)).toEqual(expected)
    expect(list).toMatchObject({ object: 'list', has_more: hasMore })
    expect([list.first_id, list.last_id]).toEqual([expected.at(0) ?? null, expected.at(-1) ?? null])
  })

  test.each([
    ['?limit=0', 'limit'],
    ['?limit=101', 'limit'],
    ['?limit=1.5', 'limit'],
    ['?limit=many', 'limit'],
    ['?order=up', 'order'],
    ['?after=msg_99', 'after'],
  ])('%p is refused', async (query, param) => {
    const { status, error } = await (await listing())(query)
    expect({ status, param: error.param }).toEqual({ status: 400, param })
  })

  test('are what is known of them, in the form of the API', async () => {
    const { app, reply } = responsesApp()
    const junk = { x: [{}], status: 'completed', annotations: [{ huge: {} }] }
    const { id } = await reply({
      input: [
        { ...user('Hi'), ...junk, id: 'msg_1' },
        { ...assistant([{ type: 'output_text', text: 'A', ...junk }]), ...junk, id: 'msg_2' },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', id: 'fc_1', ...junk },
        { type: 'function_call_output', call_id: 'c', output: '1', id: 'fco_1', ...junk },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }] },
      ],
    })
    const response = await app.request(`/v1/responses/${id}/input_items?order=asc`)
    const list: Json = await response.json()
    const status = 'completed'
    expect(list.data).toEqual([
      {
        ...{ id: 'msg_1', type: 'message', role: 'user', status },
        content: [{ type: 'input_text', text: 'Hi' }],
      },
      {
        ...{ id: 'msg_2', type: 'message', role: 'assistant', status },
        content: [{ type: 'output_text', text: 'A', annotations: [], logprobs: [] }],
      },
      { id: 'fc_1', type: 'function_call', status, call_id: 'c', name: 'f', arguments: '{}' },
      { id: 'fco_1', type: 'function_call_output', status, call_id: 'c', output: '1' },
      { id: 'rs_1', type: 'reasoning', summary: [] },
    ])
  })
})

describe('what is not kept', () => {
  test('one that is too large, and the log says so', async () => {
    const { app, lines, reply } = responsesApp({ limits: { maxStoredBytes: 5000 } })
    const { id } = await reply({ input: 'x'.repeat(5000) })
    expect((await app.request(`/v1/responses/${id}`)).status).toBe(404)
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'warn', response: id, limit: 5000 }),
    )
    const small = await reply({})
    expect((await app.request(`/v1/responses/${small.id}`)).status).toBe(200)
  })

  test('any, if none may be: the response says so', async () => {
    const { engine, lines, reply } = responsesApp({ limits: { maxStoredResponses: 0 } })
    expect((await reply({})).store).toBe(false)
    expect(engine.requests[0].cacheBreakpoints).toEqual([])
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
  })

  test('further members of text', async () => {
    const { reply } = responsesApp()
    const format = { type: 'text', x: [{}] }
    const { text } = await reply({ text: { format, verbosity: 'low', x: { y: 1 } } })
    expect(text).toEqual({ format: { type: 'text' }, verbosity: 'low' })
  })

  test('one that is not to be stored still uses the states before it', async () => {
    const { engine, reply } = responsesApp()
    const { id } = await reply({})
    await reply({ input: 'B', previous_response_id: id, store: false })
    const [first, second] = engine.requests
    expect(second.cacheBreakpoints).toEqual([first.prompt.length])
  })
})
