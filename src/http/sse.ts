// Server-sent events: JSON frames, comments that keep a silent stream open, the end mark, errors.

import type { ErrorBody } from '../errors.ts'

export interface EventStreamOptions {
  /** Sends the events. The end mark follows when it resolves, an error event when it rejects. */
  run(send: (event: unknown) => void): Promise<void>
  /** The client's view of what `run` threw. */
  errorBody(error: unknown): ErrorBody
  /** Nobody reads any more; `run` should end soon, what it still sends is dropped. */
  onCancel(): void
  /** `run` has ended, one way or another. */
  onEnd(): void
  /** Milliseconds between keep-alive comments. */
  pingIntervalMs: number
  /** Time in which a client must read what is much; 30 s if left out. */
  patienceMs?: number
  /** Events go by the name in their `type`, and the last one is the end: there is no mark. */
  isTyped?: boolean
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Without this nginx collects the events before it passes them on.
  'x-accel-buffering': 'no',
}

/** A client that leaves more than so many bytes unread for so long counts as gone. */
const MAX_BACKLOG = 4 * 2 ** 20
const PATIENCE_MS = 30_000

/** A streamed reply with status 200; it starts `run` at once. */
export function eventStream(options: EventStreamOptions): Response {
  const { patienceMs = PATIENCE_MS } = options
  const encoder = new TextEncoder()
  let isOpen = true
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const giveUp = () => {
          isOpen = false
          controller.error(new Error('the client does not read its stream'))
          options.onCancel()
        }
        let behindSince: number | undefined
        const write = (text: string) => {
          if (!isOpen) return
          const isBehind = (controller.desiredSize ?? 0) < -MAX_BACKLOG
          behindSince = isBehind ? (behindSince ?? performance.now()) : undefined
          if (behindSince === undefined || performance.now() - behindSince <= patienceMs) {
            controller.enqueue(encoder.encode(text))
          } else giveUp()
        }
        const send = (event: unknown) => write(frame(event, options.isTyped))
        const ping = setInterval(() => write(': ping\n\n'), options.pingIntervalMs)
        // The first comment makes the server send the status line before the first token is there.
        write(': ok\n\n')
        options
          .run(send)
          .then(() => {
            if (!options.isTyped) write('data: [DONE]\n\n')
          })
          .catch((error) => {
            // Whatever broke, nothing goes on that nobody will read.
            options.onCancel()
            send(options.errorBody(error))
          })
          .finally(() => {
            clearInterval(ping)
            // A closed stream has lost its connection, which whoever is told may still have to set.
            options.onEnd()
            if (isOpen) controller.close()
            isOpen = false
          })
      },
      cancel() {
        isOpen = false
        options.onCancel()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
  )
  return new Response(stream, { headers: HEADERS })
}

/** Errors have no type: their event is named `error`. */
function frame(event: unknown, isTyped = false): string {
  const name = isTyped ? `event: ${(event as { type?: string }).type ?? 'error'}\n` : ''
  return `${name}data: ${JSON.stringify(event)}\n\n`
}
