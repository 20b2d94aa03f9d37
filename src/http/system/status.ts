// What balancers, probes and people ask about the server itself: does it live, does it take work,
// which version is it.

import type { Engine } from '../../engine/request.ts'
import type { ServedModel } from '../context.ts'
import { RETRY_AFTER, unavailable } from '../errors.ts'
import type { Drain } from '../guard/drain.ts'
import { PROBE_PATHS } from './probes.ts'

/** GET /health: 200 as long as the engine works, however busy it is; else 503 with the reason. */
export function health(engine: Engine): Response {
  const { fault } = engine.stats()
  return fault === undefined ? Response.json({ status: 'ok' }) : notNow('error', fault)
}

/** GET /ready: 200 if a request that came now would be taken; a full queue is no reason against. */
export function ready(engine: Engine, drain: Drain): Response {
  const { fault } = engine.stats()
  if (fault !== undefined) return notNow('error', fault)
  if (drain.isActive) return notNow('draining', 'the server is shutting down')
  return Response.json({ status: 'ready' })
}

/** GET /version. */
export function describeVersion(version: string, model: ServedModel): Response {
  return Response.json({ version, model: model.ids[0] })
}

/** Every route while the model is loaded: 503 with a hint when to come back; ApiError but for probes. */
export function stillLoading(path: string): Response {
  const message = 'the model is still being loaded'
  if (PROBE_PATHS.includes(path)) return notNow('loading', message)
  throw unavailable(message, 'loading')
}

function notNow(status: 'error' | 'draining' | 'loading', reason: string): Response {
  const headers = { 'retry-after': String(RETRY_AFTER) }
  return Response.json({ status, reason }, { status: 503, headers })
}
