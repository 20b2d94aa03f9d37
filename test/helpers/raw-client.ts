// JSON over HTTP as it is, for tests of what no client library lets through or shows.

import type { Json } from '../http/test-app.ts'
import { checkingFetch } from './checking-fetch.ts'

export interface RawReply {
  status: number
  headers: Headers
  /** The JSON of the body. */
  json: Json
}

/** A client whose replies are all checked against OpenAI's schemas. */
export class RawClient {
  readonly #fetch = checkingFetch()

  constructor(
    readonly url: string,
    readonly headers: Record<string, string> = {},
  ) {}

  async get(path: string): Promise<RawReply> {
    return read(await this.#fetch(`${this.url}${path}`, { headers: this.headers }))
  }

  /** POSTs JSON. */
  async post(path: string, body: unknown): Promise<RawReply> {
    return read(await this.#send(path, body))
  }

  /** POSTs JSON; throws with the reply if the status is not 200. */
  async ask(path: string, body: unknown): Promise<Json> {
    const { status, json } = await this.post(path, body)
    if (status !== 200) throw new Error(`status ${status}: ${JSON.stringify(json)}`)
    return json
  }

  /** The events of a stream, without the mark at its end. */
  async stream(path: string, body: object): Promise<Json[]> {
    const reply = await this.#send(path, { ...body, stream: true })
    const text = await reply.text()
    if (reply.status !== 200) throw new Error(`status ${reply.status}: ${text}`)
    return text
      .split('\n\n')
      .map((frame) => /^data: (.*)$/m.exec(frame)?.[1])
      .filter((data) => data !== undefined && data !== '[DONE]')
      .map((data) => JSON.parse(data!))
  }

  #send(path: string, body: unknown): Promise<Response> {
    return this.#fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.headers },
      body: JSON.stringify(body),
    })
  }
}

async function read(reply: Response): Promise<RawReply> {
  return { status: reply.status, headers: reply.headers, json: await reply.json() }
}

/** The texts of a stream's choices, by their index. */
export function textsOf(events: readonly Json[]): string[] {
  const texts: string[] = []
  for (const { index, text, delta } of events.flatMap(({ choices }) => choices)) {
    texts[index] = (texts[index] ?? '') + (text ?? delta.content ?? '')
  }
  return texts
}
