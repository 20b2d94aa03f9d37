// @ts-check
// What the page asks of its server: the status, and text as it is written.

/**
 * @typedef {object} Status
 * @property {string} model
 * @property {boolean} chat
 * @property {number} [max_model_len]
 * @property {boolean} draining
 * @property {number} slots
 * @property {number} slots_used
 * @property {number} waiting
 * @property {number} [state_bytes]
 * @property {number} [cache_bytes]
 * @property {number} [softmax_bytes_per_token]
 * @property {Record<string, number>} sampling
 */

/**
 * @typedef {object} Usage
 * @property {number} prompt_tokens
 * @property {number} completion_tokens
 * @property {number} total_tokens
 * @property {{ cached_tokens: number }} prompt_tokens_details
 */

/**
 * @typedef {object} Piece What one event brought.
 * @property {string} text
 * @property {Usage} [usage]
 * @property {string} [finish] Why the text ends here.
 */

/** Where the key is kept until the tab is closed, if the browser lets pages keep anything. */
const KEY = 'glaze-api-key'
let apiKey = keptKey()

/** What the server says when it refuses, in its own words. */
export class ServerError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] of HTTP; undefined in the midst of a stream
   */
  constructor(message, status) {
    super(message)
    this.status = status
  }
}

/** @param {string} key */
export function setKey(key) {
  apiKey = key
  try {
    sessionStorage.setItem(KEY, key)
  } catch {
    // It holds until the page is left.
  }
}

function keptKey() {
  try {
    return sessionStorage.getItem(KEY) ?? undefined
  } catch {
    return undefined
  }
}

/** @returns {Promise<Status>} */
export async function fetchStatus() {
  const response = await fetch('/status', { headers: headers(), cache: 'no-store' })
  if (!response.ok) throw await errorOf(response)
  return await response.json()
}

/**
 * A text as it is written. Leaving the loop, or the signal, hangs up: the server frees the slot.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Piece>}
 */
export async function* generate(path, body, signal) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { ...headers(), 'content-type': 'application/json' },
    body: JSON.stringify({
      ...body,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    }),
    signal,
  })
  if (!response.ok || response.body === null) throw await errorOf(response)
  for await (const data of dataOf(response.body)) {
    if (data === '[DONE]') return
    const { choices, usage, error } = JSON.parse(data)
    if (error !== undefined) throw new ServerError(error.message)
    const choice = choices[0]
    const text = choice?.text ?? choice?.delta?.content ?? ''
    yield { text, usage: usage ?? undefined, finish: choice?.finish_reason ?? undefined }
  }
  throw new ServerError('the connection ended before the text did')
}

/**
 * The data of server-sent events, one line each; comments are passed over.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 */
async function* dataOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice('data: '.length)
  }
}

/** @returns {Record<string, string>} */
function headers() {
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
}

/** @param {Response} response */
async function errorOf(response) {
  const body = await response.json().catch(() => undefined)
  const message = body?.error?.message ?? `the server answered with status ${response.status}`
  return new ServerError(message, response.status)
}
