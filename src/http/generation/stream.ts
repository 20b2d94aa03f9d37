// A stream of chunks over the outputs of a batch: envelope, choices, usage, errors.

import type { Context } from 'hono'
import type { Output } from '../../engine/request.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { toApiError } from '../errors.ts'
import { type EventStreamOptions, eventStream } from '../sse.ts'
import type { Batch } from './batch.ts'
import type { Envelope } from './envelope.ts'
import { usageOf } from './usage.ts'

/** `stream_options` of a request. */
export type StreamOptions =
  | { include_usage?: boolean | null; continuous_usage_stats?: boolean | null }
  | undefined

/** Sends a choice, and further keys of its chunk. */
type SendChoice = (choice: { index: number }, more?: object) => void

/**
 * Streams what `start` makes of the outputs: it gets a function that sends one choice, perhaps with
 * more keys beside the choices, and returns one that takes each output with the index of its
 * generation.
 */
export function streamReply(
  c: Context<AppEnv>,
  server: ServerContext,
  keys: Envelope<string>,
  batch: Batch,
  options: StreamOptions,
  start: (send: SendChoice) => (index: number, output: Output) => void,
): Response {
  const record = c.get('record')
  const includesUsage = options?.include_usage === true
  const counts = Array.from({ length: batch.size }, () => 0)
  /** As OpenAI, every chunk before the last has a null; as vLLM, it may have what its choice cost. */
  const usage = (index: number) => {
    if (!includesUsage) return {}
    return { usage: options.continuous_usage_stats ? usageOf(record, counts[index]) : null }
  }
  return batchStream(c, server, batch, {
    async run(send) {
      const take = start((choice, more = {}) =>
        send({ ...keys, choices: [choice], ...usage(choice.index), ...more }),
      )
      await batch.follow((index, output) => {
        counts[index] += output.tokens.length
        take(index, output)
      })
      if (includesUsage) send({ ...keys, choices: [], usage: usageOf(record) })
    },
  })
}

/** An event stream over a batch: who does not read frees its slots, and the record ends with it. */
export function batchStream(
  c: Context<AppEnv>,
  { limits }: ServerContext,
  batch: Batch,
  events: Pick<EventStreamOptions, 'run' | 'isTyped'>,
): Response {
  const record = c.get('record')
  record.isStreaming = true
  return eventStream({
    ...events,
    pingIntervalMs: limits.pingIntervalMs,
    errorBody: (error) => toApiError(error, c).body(),
    onCancel: () => batch.abort(),
    onEnd: () => record.end(200),
  })
}
