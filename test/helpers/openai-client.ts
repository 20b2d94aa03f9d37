// The official client of a spawned server; each reply that it gets must be what the API says.

import OpenAI from 'openai'
import { checkingFetch } from './checking-fetch.ts'
import type { ServerProcess } from './server.ts'

/** Fails at the first error, without trying again. */
export function openaiClient({ url }: ServerProcess): OpenAI {
  return new OpenAI({
    ...{ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 },
    fetch: checkingFetch(),
  })
}
