// A fetch that looks at every reply on its way to the client: each JSON body and each event of a
// stream must be what OpenAI's API answers on that route. A reply that is not fails its request.

import {
  expectChat,
  expectCompletion,
  expectError,
  expectModel,
  expectModels,
  expectResponse,
} from './openai-schema.ts'
import { CompletionRules, ResponseRules, type Rules } from './stream-rules.ts'

/** How a reply is got: over the network, or from an app in this process. */
type GetReply = (url: string, init?: RequestInit) => Response | Promise<Response>

/** Wraps a fetch, by default that of the platform; an app's own `request` works as well. */
export function checkingFetch(getReply: GetReply = fetch): typeof fetch {
  const checked = async (input: unknown, init?: RequestInit): Promise<Response> => {
    const url = String(input)
    const route = `${(init?.method ?? 'GET').toUpperCase()} ${new URL(url, 'http://localhost').pathname}`
    return checkReply(route, jsonObject(init?.body), await getReply(url, init))
  }
  return Object.assign(checked, { preconnect: fetch.preconnect })
}

/** The request's JSON, as far as it is an object. */
function jsonObject(body: unknown): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(String(body))
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** The same reply; its stream, if it is one, throws at the first event that is not sound. */
async function checkReply(
  route: string,
  body: Record<string, unknown>,
  reply: Response,
): Promise<Response> {
  if (!reply.headers.has('x-request-id')) throw new Error(`${route}: no x-request-id`)
  const type = reply.headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream')) return checkStream(route, body, reply)
  if (type.startsWith('application/json')) {
    const json: unknown = await reply.clone().json()
    if (reply.status >= 400) {
      if (!route.endsWith('/health') && !route.endsWith('/ready')) expectError(json)
    } else checkJson(route, body, json)
  }
  return reply
}

function checkJson(route: string, { echo }: Record<string, unknown>, json: unknown): void {
  if (route === 'POST /v1/completions') expectCompletion(json, { echo: echo === true })
  else if (route === 'POST /v1/chat/completions') expectChat(json)
  else if (route === 'GET /v1/models') expectModels(json)
  else if (route.startsWith('GET /v1/models/')) expectModel(json)
  else if (route === 'POST /v1/responses') expectResponse(json)
}

function checkStream(route: string, body: Record<string, unknown>, reply: Response): Response {
  if (reply.status !== 200) throw new Error(`${route}: a stream with status ${reply.status}`)
  for (const [name, value] of [
    ['cache-control', 'no-cache'],
    ['x-accel-buffering', 'no'],
  ]) {
    if (reply.headers.get(name) !== value) throw new Error(`${route}: ${name} is not ${value}`)
  }
  const rules = rulesOf(route, body)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  const checked = reply.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        const frames = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
        rest = frames.pop() ?? ''
        for (const frame of frames) checkFrame(frame, rules)
        controller.enqueue(bytes)
      },
      flush() {
        if (rest !== '') throw new Error(`${route}: the stream ends within ${rest.slice(0, 100)}`)
        rules.end()
      },
    }),
  )
  return new Response(checked, reply)
}

function rulesOf(route: string, body: Record<string, unknown>): Rules {
  if (route === 'POST /v1/responses') return new ResponseRules()
  const options = body.stream_options as { include_usage?: boolean } | undefined
  return new CompletionRules({
    chat: route === 'POST /v1/chat/completions',
    echo: body.echo === true,
    includesUsage: options?.include_usage === true,
  })
}

/** A frame is a comment, or one `data:` line, in the Responses API after an `event:` line. */
function checkFrame(frame: string, rules: Rules): void {
  if (frame.startsWith(':')) return
  const [, event, data] = /^(?:event: (\S+)\n)?data: ([^\n]*)$/.exec(frame) ?? []
  if (data === undefined) throw new Error(`a frame that is no event: ${frame.slice(0, 200)}`)
  if (data === '[DONE]') rules.done()
  else rules.event(JSON.parse(data), event)
}
