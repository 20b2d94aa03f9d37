// A test app with a chat template, and what tests of chats ask of it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PromptTokenizer } from '../../src/http/context.ts'
import { openChatTemplate } from '../../src/text/chat-template.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { type Json, readEvents, type TestAppOptions, testApp } from './test-app.ts'

/** One token a character, so that positions in tokens are positions in the text. */
export const characterTokenizer: Partial<PromptTokenizer> = {
  vocabSize: 2 ** 16,
  encode: (text) => text.split('').map((unit) => unit.charCodeAt(0)),
  decode: (ids) => String.fromCharCode(...ids),
  pieces: (ids) => ids.map((id) => String.fromCharCode(id)),
  display: (id) => String.fromCharCode(id),
  bytes: (id) => new TextEncoder().encode(String.fromCharCode(id)),
}

/** A template of test/fixtures. */
export function templateOf(path: string) {
  const file = join(import.meta.dir, '../fixtures', path)
  const source = { name: 'default', file, text: readFileSync(file, 'utf8') }
  return openChatTemplate([source], { bosToken: '<s>', eosToken: '</s>' })
}

export interface ChatAppOptions extends Omit<TestAppOptions, 'chatTemplate'> {
  /** Path in test/fixtures; `none`: the model has no template. */
  template?: string
}

export function chatApp({ template = 'chatml.jinja', ...options }: ChatAppOptions = {}) {
  const app = testApp({
    tokenizer: characterTokenizer,
    ...options,
    chatTemplate: template === 'none' ? undefined : templateOf(template),
  })
  const checked = checkingFetch((url, init) => app.app.request(url, init))
  /** Sends a request; a reply that OpenAI's API would not give fails the test. */
  const chat = (body: object, init: RequestInit = {}) =>
    checked('/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ messages: [user('Hi')], ...body }),
      ...init,
    })
  return {
    ...app,
    chat,
    /** The reply to a sound request. */
    reply: async (body: object): Promise<Json> => read(await chat(body)),
    /** The events of a sound request's stream. */
    events: async (body: object) => readEvents(await chat({ ...body, stream: true })),
    /** The text of the prompt that a sound request makes. */
    prompt: async (body: object): Promise<string> => {
      await read(await chat({ ...body, max_tokens: 1 }))
      return String.fromCharCode(...(app.engine.requests.at(-1)?.prompt ?? []))
    },
    /** The error of a request that is refused. */
    refusal: async (body: object): Promise<Json> => {
      const response = await chat(body)
      return { status: response.status, ...((await response.json()) as Json).error }
    },
  }
}

export function user(content: unknown) {
  return { role: 'user', content }
}

export function assistant(content: unknown, more: object = {}) {
  return { role: 'assistant', content, ...more }
}

/** A tool whose function has this name. */
export function tool(name: string, parameters?: object) {
  return { type: 'function', function: { name, parameters } }
}

async function read(response: Response): Promise<Json> {
  if (response.status !== 200) throw new Error(await response.text())
  return response.json()
}
