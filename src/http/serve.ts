// Puts the app on a socket.

import { ConfigError } from '../errors.ts'

/**
 * Seconds within which the body of a request must be in, the next request must come, and the end of a
 * reply must be fetched. Balancers mostly keep idle connections for 60: they should be the ones to close.
 */
const IDLE_SECONDS = 75

export interface ServeAppOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  /** Seconds after which a connection ends that is not held, and up to 4 more; 75 if left out. */
  idleSeconds?: number
}

/** What the app may ask of the connection of one request. */
export interface Connection {
  /** Lets it stay open for as long as the work takes. Bun would end it, whatever it sends. */
  hold(): void
  /** Takes that back; before the last byte of the reply, after which Bun no longer listens. */
  release(): void
}

/** A listening server. */
export interface RunningServer extends AsyncDisposable {
  /** With the real port, without a slash at the end. */
  readonly url: string
  /** Refuses new connections and waits for the running requests; `force` cuts those. */
  stop(force?: boolean): Promise<void>
}

/** Starts listening; throws ConfigError if the address cannot be had. */
export function serveApp(
  app: { fetch(request: Request, connection: Connection): Response | Promise<Response> },
  { host, port, idleSeconds = IDLE_SECONDS }: ServeAppOptions,
): RunningServer {
  const server = listen(host, port, idleSeconds, (request, bun) =>
    app.fetch(withUrl(request, bun.url.origin), {
      hold: () => bun.timeout(request, 0),
      release: () => bun.timeout(request, idleSeconds),
    }),
  )
  const stop = async (force = false) => {
    await server.stop(force)
  }
  return {
    url: server.url.origin,
    stop,
    [Symbol.asyncDispose]: () => stop(true),
  }
}

/** Without a usable `host` header a request has no URL, or only a path for one. */
function withUrl(request: Request, origin: string): Request {
  if (URL.canParse(request.url)) return request
  return new Request(origin + request.url.replace(/^https?:\/\/[^/]*/, ''), request)
}

type Fetch = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>

function listen(
  hostname: string,
  port: number,
  idleTimeout: number,
  fetch: Fetch,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      ...{ hostname, port, fetch, idleTimeout },
      // The app bounds bodies itself, with a proper reply; Bun's own bound must not come first.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Else clients would see the source code around a fault.
      development: false,
      // It comes with the line above, and two servers would share a port by mistake.
      reusePort: false,
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`cannot listen on --host ${hostname} --port ${port}: ${reason}`)
  }
}
