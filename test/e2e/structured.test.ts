// 200 random schemas through the shipped model: whatever it samples, every answer is JSON that its
// schema allows, on both routes, whole and streamed, many at a time.

import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { randomSchemas } from '../grammar/random-schemas.ts'
import { startChatServer } from '../helpers/chat-server.ts'
import { RawClient } from '../helpers/raw-client.ts'
import type { ServerProcess } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

const SEED = 20_261_124
const SCHEMAS = 200
/** Requests that run side by side. */
const CROWD = 16
/** Answers have about 200 characters at most, and no character needs more than four tokens. */
const MAX_TOKENS = 800

const ajv = new Ajv2020({ strict: false })
let server: ServerProcess

beforeAll(async () => {
  server = await startChatServer(['--max-num-seqs', String(CROWD)])
}, 60_000)

afterAll(() => server?.[Symbol.asyncDispose](), 60_000)

interface Answer {
  text: string
  reason: string
}

/** Asks for one answer, in one of four ways. */
async function answerOf(client: RawClient, schema: unknown, index: number): Promise<Answer> {
  const isChat = index % 2 === 0
  const isStreamed = index % 4 < 2
  const path = isChat ? '/v1/chat/completions' : '/v1/completions'
  const format = { type: 'json_schema', json_schema: { name: 'answer', schema } }
  const body = {
    ...{ max_tokens: MAX_TOKENS, temperature: 1, top_p: 1, seed: index },
    ...(isChat
      ? { messages: [{ role: 'user', content: 'Answer in JSON.' }], response_format: format }
      : { prompt: 'The answer in JSON: ', structured_outputs: { json: schema } }),
  }
  const replies = isStreamed ? await client.stream(path, body) : [await client.ask(path, body)]
  const choices: Json[] = replies.flatMap((reply) => reply.choices)
  const texts = choices.map(({ text, delta, message }) => text ?? (delta ?? message).content ?? '')
  return { text: texts.join(''), reason: choices.at(-1).finish_reason }
}

test('200 random schemas', async () => {
  const client = new RawClient(server.url)
  const schemas = [...randomSchemas(SEED, SCHEMAS).entries()]
  let answers = 0
  const work = async () => {
    for (let next = schemas.pop(); next !== undefined; next = schemas.pop()) {
      const [index, schema] = next
      const where = JSON.stringify(schema)
      const { text, reason } = await answerOf(client, schema, index).catch((error) => {
        throw new Error(`schema ${index}: ${where}`, { cause: error })
      })
      expect({ where, text, reason }).toEqual({ where, text, reason: 'stop' })
      const validate = ajv.compile(schema as object)
      const isSound = validate(JSON.parse(text))
      expect({ where, text, faults: validate.errors }).toEqual({ where, text, faults: null })
      expect(isSound).toBe(true)
      answers++
    }
  }
  await Promise.all(Array.from({ length: CROWD }, work))
  expect(answers).toBe(SCHEMAS)
}, 300_000)
