// Puts the app on a socket.

import { ConfigError } from '../errors.ts'

export interface ServeAppOptions {
  host: string
  /** 0 takes a free one. */
  port: number
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
  app: { fetch(request: Request): Response | Promise<Response> },
  { host, port }: ServeAppOptions,
): RunningServer {
  const server = listen(host, port, (request, bun) => {
    // Bun hangs up on connections that are silent for long, as a request in the queue may be.
    bun.timeout(request, 0)
    return app.fetch(request)
  })
  const stop = async (force = false) => {
    await server.stop(force)
  }
  return {
    url: server.url.origin,
    stop,
    [Symbol.asyncDispose]: () => stop(true),
  }
}

type Fetch = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>

function listen(hostname: string, port: number, fetch: Fetch): Bun.Server<undefined> {
  try {
    // The app bounds bodies itself, with a proper reply; Bun's own bound must not come first.
    return Bun.serve({ hostname, port, fetch, maxRequestBodySize: Number.MAX_SAFE_INTEGER })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`cannot listen on --host ${hostname} --port ${port}: ${reason}`)
  }
}
