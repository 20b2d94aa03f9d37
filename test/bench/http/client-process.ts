// A client of `bench http`: reads streams as bytes and counts their events, so that many of them
// cost it little.
import type { ClientTask, Route, StreamSpan } from './messages.ts'

/** Events before the first token: the comment that opens a stream, and the role in a chat. */
const OPENING = { completions: 1, chat: 2 } as const
const END = Buffer.from('data: [DONE]\n\n')
const NEWLINE = 10

process.on('message', async (task: ClientTask) => {
  const streams = Array.from({ length: task.streams }, () => readStream(task))
  process.send!(await Promise.all(streams))
})
process.on('disconnect', () => process.exit())

async function readStream({ url, route, tokens }: ClientTask): Promise<StreamSpan> {
  const { promise, resolve, reject } = Promise.withResolvers<StreamSpan>()
  const { hostname, port } = new URL(url)
  let first: { at: number; events: number } | undefined
  let at = 0
  let events = 0
  let before = 0
  let head = ''
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(requestText(route, tokens)),
      data(socket, bytes) {
        if (head.length < 500) head += bytes.toString('latin1')
        for (const byte of bytes) {
          if (byte === NEWLINE && before === NEWLINE) events++
          before = byte
        }
        at = performance.timeOrigin + performance.now()
        if (events > OPENING[route]) first ??= { at, events }
        if (bytes.indexOf(END) < 0) return
        // Two events follow the last token: the reason of the end, and the end itself.
        const total = events - 2 - OPENING[route]
        if (first === undefined || total !== tokens) reject(new Error(`${total} tokens: ${head}`))
        else resolve({ firstAt: first.at, lastAt: at, tokens: events - 2 - first.events })
        socket.end()
      },
      close: () => reject(new Error(`the stream ended after ${events} events: ${head}`)),
      error: (_, error) => reject(error),
    },
  })
  return promise
}

function requestText(route: Route, tokens: number): string {
  const path = route === 'chat' ? '/v1/chat/completions' : '/v1/completions'
  const asked =
    route === 'chat'
      ? { messages: [{ role: 'user', content: 'Tell me a story.' }] }
      : { prompt: 'Once upon a time' }
  const body = JSON.stringify({ ...asked, max_tokens: tokens, ignore_eos: true, stream: true })
  return [
    ...[`POST ${path} HTTP/1.1`, 'host: 127.0.0.1', 'content-type: application/json'],
    ...[`content-length: ${body.length}`, '', body],
  ].join('\r\n')
}
