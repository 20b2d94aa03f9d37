// The Hono app: routes, the guards before them, request ids, one log line per request, and OpenAI
// errors for everything else.

import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { every } from 'hono/combine'
import { matchedRoutes } from 'hono/route'
import { ApiError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createChatCompletion } from './chat/route.ts'
import { createCompletion } from './completions/route.ts'
import { type AppEnv, DEFAULT_LIMITS, type HttpLimits, type ServerContext } from './context.ts'
import { errorResponse } from './errors.ts'
import { Door } from './generation/door.ts'
import { requireApiKey } from './guard/api-keys.ts'
import { allowOrigins, refuseOtherPages } from './guard/cors.ts'
import { countWork, Drain } from './guard/drain.ts'
import { takeTurns } from './guard/turns.ts'
import type { HttpObserver } from './observer.ts'
import { servePage, waitingPage, wantsPage } from './page/serve-page.ts'
import { RequestRecord } from './request-record.ts'
import type { Stored } from './responses/conversation.ts'
import { createResponse } from './responses/route.ts'
import { ResponseStore } from './responses/store.ts'
import {
  countInputTokens,
  deleteResponse,
  listInputItems,
  retrieveResponse,
} from './responses/stored.ts'
import type { Connection } from './serve.ts'
import { docsPage } from './system/docs-page.ts'
import { figures } from './system/figures.ts'
import { type MetricsText, metricsReply } from './system/metrics.ts'
import { listModels, retrieveModel } from './system/models.ts'
import { openApiDocument } from './system/openapi.ts'
import { PROBE_PATHS } from './system/probes.ts'
import { docs } from './system/route-docs.ts'
import { describeVersion, health, ready, stillLoading } from './system/status.ts'
import { detokenize, tokenize } from './system/tokenize.ts'

/** Who may call the server, and what it tells the log. */
export interface GuardOptions {
  /** Keys of which every request but probes and the page must have one; none: all may call. */
  apiKeys?: readonly string[]
  /** Origins of web pages that may call; none: no page may. */
  allowedOrigins?: readonly string[]
  /** Write the beginning of prompts to the log. */
  logPrompts?: boolean
  /** Told of every request. */
  observer?: HttpObserver
  /** Shown at /metrics. */
  metrics?: MetricsText
}

/** The parts of the server; limits that are left out take their defaults. */
export type AppOptions = Omit<ServerContext, 'door' | 'limits' | 'responses'> &
  GuardOptions & {
    limits?: Partial<HttpLimits>
    /** Begun by whoever stops the server. */
    drain?: Drain
  }

/** Builds the app; it needs no socket: `app.request(...)` answers, too. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const responses = new ResponseStore<Stored>({
    responses: limits.maxStoredResponses,
    bytes: limits.maxStoredBytes,
  })
  const door = new Door(options.engine, limits.maxQueue)
  const server: ServerContext = { ...options, door, limits, responses }
  const { apiKeys = [], drain = new Drain() } = options
  const app = guardedApp(options.log, options)
  if (apiKeys.length > 0) app.use(requireApiKey(apiKeys))
  const work = every(takeTurns(), countWork(drain))
  const document = openApiDocument(app, server.version, apiKeys.length > 0)

  app.get('/', docs.page, servePage())
  app.post('/v1/completions', docs.completions, work, (c) => createCompletion(c, server))
  app.post('/v1/chat/completions', docs.chat, work, (c) => createChatCompletion(c, server))
  app.post('/v1/responses', docs.responses, work, (c) => createResponse(c, server))
  app.post('/v1/responses/input_tokens', docs.inputTokens, work, (c) => countInputTokens(c, server))
  const stored = '/v1/responses/:id'
  app.get(stored, docs.response, (c) => retrieveResponse(c.req.param('id'), server))
  app.delete(stored, docs.deleteResponse, (c) => deleteResponse(c.req.param('id'), server))
  app.get(`${stored}/input_items`, docs.inputItems, (c) =>
    listInputItems(c.req.param('id'), server, c.req.query()),
  )
  app.get('/v1/models', docs.models, () => listModels(server.model))
  app.get('/v1/models/:id{.+}', docs.model, (c) => retrieveModel(c.req.param('id'), server.model))
  for (const prefix of ['', '/v1']) {
    app.post(`${prefix}/tokenize`, docs.tokenize, work, (c) => tokenize(c, server))
    app.post(`${prefix}/detokenize`, docs.detokenize, work, (c) => detokenize(c, server))
  }
  const isHealthy = () => health(server.engine, limits.healthTimeoutMs)
  const isReady = () => ready(server.engine, drain)
  app.get('/health', docs.health, isHealthy)
  app.get('/health/live', docs.live, isHealthy)
  app.get('/ready', docs.ready, isReady)
  app.get('/health/ready', docs.healthReady, isReady)
  const { metrics, observer } = options
  if (metrics) app.get('/metrics', docs.metrics, () => metricsReply(metrics))
  app.get('/status', docs.status, () => figures(server, drain))
  app.get('/version', docs.version, () => describeVersion(server.version, server.model))
  app.get('/openapi.json', docs.openapi, async (c) => c.json(await document()))
  app.get('/docs', docs.docs, async (c) => docsPage(await document(), c.req.url))

  if (observer) announceRoutes(app, observer)
  refuseOtherMethods(app)
  return app
}

/** What answers while the model is loaded, on every route. */
export function createLoadingApp(log: Logger, guards: GuardOptions = {}): Hono<AppEnv> {
  const app = guardedApp(log, guards)
  const { metrics } = guards
  if (metrics) app.get('/metrics', () => metricsReply(metrics))
  for (const path of PROBE_PATHS) app.get(path, () => stillLoading(path))
  app.get('/', (c) => (wantsPage(c) ? waitingPage() : stillLoading('/')))
  app.all('*', (c) => stillLoading(c.req.path))
  return app
}

/** What answers on a port of its own for metrics. */
export function createMetricsApp(metrics: MetricsText): Hono {
  const app = new Hono()
  return app.get('/metrics', () => metricsReply(metrics))
}

/** An app without routes: request ids, the log, and what browsers need. */
function guardedApp(log: Logger, options: GuardOptions): Hono<AppEnv> {
  const { allowedOrigins = [], logPrompts, observer } = options
  const app = new Hono<AppEnv>()
  app.use(trackRequest(log, logPrompts, observer))
  if (allowedOrigins.length > 0) app.use(allowOrigins(allowedOrigins))
  app.use(refuseOtherPages(allowedOrigins))
  app.onError(errorResponse)
  app.notFound((c) => {
    const route = `${c.req.method} ${c.req.path.slice(0, 200)}`
    return errorResponse(new ApiError(404, `there is no ${route}`, { code: 'not_found' }), c)
  })
  return app
}

/** Gives a request its id and its record, and ends the record unless a stream goes on. */
function trackRequest(
  log: Logger,
  showsPrompts = false,
  observer?: HttpObserver,
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const asked = c.req.header('x-request-id')
    const requestId = asked && /^[\w.-]{1,128}$/.test(asked) ? asked : crypto.randomUUID()
    const bound = log.child({ id: requestId, trace: traceOf(c.req.header('traceparent')) })
    const record = new RequestRecord(bound, c.req.method, c.req.path, showsPrompts)
    c.set('requestId', requestId)
    c.set('record', record)
    // The work may be silent for long, as in the queue; a body must not be.
    const connection: Connection | undefined = c.env
    record.onBegin(() => connection?.hold())
    record.onEnd(() => connection?.release())
    record.onEnd((status) => observer?.ended(record.figures(routeOf(c), methodOf(c), status)))
    try {
      await next()
    } catch (error) {
      // Hono hands on what is thrown and no Error.
      c.res = errorResponse(error, c)
    }
    c.res.headers.set('x-request-id', requestId)
    c.res.headers.set('x-content-type-options', 'nosniff')
    if (!record.isStreaming) record.end(c.res.status)
  }
}

/** The pattern of the route that answered; paths would be labels without number. */
function routeOf(c: Context<AppEnv>): string {
  const own = matchedRoutes(c).find(({ path }) => path !== '*' && path !== '/*')
  return own?.path ?? 'other'
}

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

function methodOf(c: Context<AppEnv>): string {
  return METHODS.includes(c.req.method) ? c.req.method : 'other'
}

/** The trace id of a W3C `traceparent` header; undefined if it is none. */
function traceOf(header: string | undefined): string | undefined {
  const [, version, trace] =
    /^([\da-f]{2})-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}(-|$)/.exec(header ?? '') ?? []
  return version === 'ff' || /^0*$/.test(trace ?? '') ? undefined : trace
}

/** Every route has its series from the start. */
function announceRoutes(app: Hono<AppEnv>, observer: HttpObserver): void {
  for (const { path, method } of app.routes) {
    if (METHODS.includes(method)) observer.route(path, method)
  }
}

/** Answers the methods that a path does not have, for every path that has one. */
function refuseOtherMethods(app: Hono<AppEnv>): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (method === 'ALL') continue
    const known = methods.get(path) ?? new Set()
    // Hono answers HEAD wherever there is GET.
    for (const name of method === 'GET' ? ['GET', 'HEAD'] : [method]) known.add(name)
    methods.set(path, known)
  }
  for (const [path, known] of methods) {
    const allowed = [...known].join(', ')
    app.all(path, (c) => wrongMethod(c, allowed))
  }
}

function wrongMethod(c: Context<AppEnv>, allowed: string): Response {
  const { method, path } = c.req
  if (method === 'OPTIONS')
    return new Response(undefined, { status: 204, headers: { allow: allowed } })
  const message = `${method} is not allowed on ${path.slice(0, 200)}; use ${allowed}`
  const response = errorResponse(new ApiError(405, message, { code: 'method_not_allowed' }), c)
  response.headers.set('allow', allowed)
  return response
}
