// The Hono app: routes, request ids, one log line per request, OpenAI errors for everything else.

import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createCompletion } from './completions.ts'
import { type AppEnv, DEFAULT_LIMITS, type HttpLimits, type ServerContext } from './context.ts'
import { errorResponse } from './errors.ts'
import { RequestRecord } from './request-record.ts'
import { health, listModels, retrieveModel } from './system.ts'

/** The parts of the server; limits that are left out take their defaults. */
export type AppOptions = Omit<ServerContext, 'limits'> & { limits?: Partial<HttpLimits> }

/** Builds the app; it needs no socket: `app.request(...)` answers, too. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const server: ServerContext = { ...options, limits: { ...DEFAULT_LIMITS, ...options.limits } }
  const app = new Hono<AppEnv>()
  app.use(trackRequest(server.log))
  app.onError(errorResponse)
  app.notFound((c) => {
    const route = `${c.req.method} ${c.req.path.slice(0, 200)}`
    return errorResponse(new ApiError(404, `there is no ${route}`, { code: 'not_found' }), c)
  })

  app.post('/v1/completions', (c) => createCompletion(c, server))
  app.get('/v1/models', () => listModels(server.model))
  app.get('/v1/models/:id{.+}', (c) => retrieveModel(c.req.param('id'), server.model))
  app.get('/health', () => health(server.engine))

  app.all('/v1/completions', (c) => wrongMethod(c, 'POST'))
  for (const path of ['/v1/models', '/v1/models/:id{.+}', '/health']) {
    app.all(path, (c) => wrongMethod(c, 'GET, HEAD'))
  }
  return app
}

/** Gives a request its id and its record, and ends the record unless a stream goes on. */
function trackRequest(log: Logger): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const asked = c.req.header('x-request-id')
    const requestId = asked && /^[\w.-]{1,128}$/.test(asked) ? asked : crypto.randomUUID()
    const record = new RequestRecord(log.child({ id: requestId }), c.req.method, c.req.path)
    c.set('requestId', requestId)
    c.set('record', record)
    await next()
    c.header('x-request-id', requestId)
    if (!record.isStreaming) record.end(c.res.status)
  }
}

function wrongMethod(c: Context<AppEnv>, allowed: string): Response {
  const message = `${c.req.method} is not allowed on ${c.req.path.slice(0, 200)}; use ${allowed}`
  const response = errorResponse(new ApiError(405, message, { code: 'method_not_allowed' }), c)
  response.headers.set('allow', allowed)
  return response
}
