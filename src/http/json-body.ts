// Reads a request body: bounded in size, valid UTF-8, a JSON object.

import { ApiError } from '../errors.ts'

/** Of lists and objects in each other; schemas, the deepest that clients send, have about twenty. */
const MAX_DEPTH = 256

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** The body as an object; throws ApiError 400, 413 or 415 if it is anything else. */
export async function readJsonObject(
  request: Request,
  maxBytes: number,
): Promise<Record<string, unknown>> {
  const encoding = request.headers.get('content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new ApiError(415, `content-encoding ${quote(encoding)} is not supported; send plain JSON`)
  }
  const bytes = await readBytes(request, maxBytes)
  const contentType = request.headers.get('content-type') ?? 'application/json'
  try {
    return parseObject(bytes)
  } catch (error) {
    // Many clients mislabel JSON; the label only matters where the body is not what we want.
    if (/^application\/([\w.-]+\+)?json\b/i.test(contentType)) throw error
    throw new ApiError(415, `content-type is ${quote(contentType)}; send application/json`)
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) throw new ApiError(400, 'the request body is empty; send a JSON object')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ApiError(400, 'the request body is not valid UTF-8')
  }
  if (depthOf(text) > MAX_DEPTH) {
    throw new ApiError(400, `the request body is nested deeper than ${MAX_DEPTH} levels`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 100) : 'parse error'
    throw new ApiError(400, `the request body is not valid JSON: ${reason}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
    throw new ApiError(400, `the request body is ${kind}; send a JSON object`)
  }
  return value as Record<string, unknown>
}

/** Levels of lists and objects in a JSON text; what recurses over a body must not overrun its stack. */
function depthOf(json: string): number {
  let [depth, deepest, isInText] = [0, 0, false]
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) isInText = !isInText
    else if (isInText) at += unit === BACKSLASH ? 1 : 0
    else if (unit === OPEN_LIST || unit === OPEN_OBJECT) deepest = Math.max(deepest, ++depth)
    else if (unit === CLOSE_LIST || unit === CLOSE_OBJECT) depth--
  }
  return deepest
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get('content-length') ?? 0)
  if (announced > maxBytes) throw tooLarge(maxBytes)
  const parts: Uint8Array[] = []
  let size = 0
  // A chunked body announces no size: stop reading once it is too large.
  for await (const part of request.body ?? []) {
    size += part.length
    if (size > maxBytes) throw tooLarge(maxBytes)
    parts.push(part)
  }
  return Buffer.concat(parts, size)
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, `the request body is larger than ${maxBytes} bytes`, {
    code: 'request_too_large',
  })
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}
