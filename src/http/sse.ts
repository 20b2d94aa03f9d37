// Server-sent events: JSON frames, comments that keep a silent stream open, the end mark, errors.

import type { ErrorBody } from '../errors.ts'

export interface EventStreamOptions {
  /** Sends the events. The end mark follows when it resolves, an error event when it rejects. */
  run(send: (event: unknown) => void): Promise<void>
  /** The client's view of what `run` threw. */
  errorBody(error: unknown): ErrorBody
  /** The client hung up; `run` should end soon, what it still sends is dropped. */
  onCancel(): void
  /** `run` has ended, one way or another. */
  onEnd(): void
  /** Milliseconds between keep-alive comments. */
  pingIntervalMs: number
  /** Events go by the name in their `type`, and the last one is the end: there is no mark. */
  isTyped?: boolean
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Without this nginx collects the events before it passes them on.
  'x-accel-buffering': 'no',
}

/** A streamed reply with status 200; it starts `run` at once. */
export function eventStream(options: EventStreamOptions): Response {
  const encoder = new TextEncoder()
  let isOpen = true
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const write = (text: string) => {
        if (isOpen) controller.enqueue(encoder.encode(text))
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
        .catch((error) => send(options.errorBody(error)))
        .finally(() => {
          clearInterval(ping)
          if (isOpen) controller.close()
          isOpen = false
          options.onEnd()
        })
    },
    cancel() {
      isOpen = false
      options.onCancel()
    },
  })
  return new Response(stream, { headers: HEADERS })
}

/** Errors have no type: their event is named `error`. */
function frame(event: unknown, isTyped = false): string {
  const name = isTyped ? `event: ${(event as { type?: string }).type ?? 'error'}\n` : ''
  return `${name}data: ${JSON.stringify(event)}\n\n`
}
