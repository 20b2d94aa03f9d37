// A test app for /v1/responses, and what tests of it ask.

import { expect } from 'bun:test'
import { characterTokenizer, templateOf } from './chat-app.ts'
import { type Json, type TestAppOptions, testApp } from './test-app.ts'

/** What the template writes around turns. */
export const TURN = '<|im_start|>user\n'
export const END = '<|im_end|>\n'
export const ANSWER = '<|im_start|>assistant\n'

export const TOOL = {
  type: 'function',
  name: 'time',
  parameters: { type: 'object', properties: {} },
}

export function responsesApp(options: TestAppOptions = {}) {
  const app = testApp({
    tokenizer: characterTokenizer,
    chatTemplate: templateOf('chatml.jinja'),
    ...options,
  })
  const respond = (body: object) => app.post({ input: 'Hi', ...body }, {}, '/v1/responses')
  return {
    ...app,
    respond,
    reply: async (body: object): Promise<Json> => {
      const response = await respond(body)
      expect(response.status).toBe(200)
      return response.json()
    },
    refusal: async (body: object): Promise<Json> => {
      const response = await respond(body)
      return { status: response.status, ...((await response.json()) as Json).error }
    },
    prompts: () => app.engine.requests.map(({ prompt }) => String.fromCharCode(...prompt)),
  }
}

/** The events of a stream, whose names must be their types. */
export async function eventsOf(response: Response): Promise<Json[]> {
  const frames = (await response.text()).split('\n\n').filter((frame) => /^event/.test(frame))
  return frames.map((frame) => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? []
    const event: Json = JSON.parse(data)
    expect(event.type).toBe(name)
    return event
  })
}
