// What balancers, probes and people ask about the server itself: does it live, does it take work,
// which version is it.

import type { Engine } from '../../engine/request.ts'
import type { ServedModel } from '../context.ts'
import { RETRY_AFTER, unavailable } from '../errors.ts'
import type { Drain } from '../guard/drain.ts'
import { PROBE_PATHS } from './probes.ts'

/**
 * GET /health: 200 as long as the engine works, however busy it is; else 503 with the reason. A step
 * that does not come back within `timeoutMs` is taken for one that never will.
 */
export function health(engine: Engine, timeoutMs: number): Response {
  const { fault, isDeviceLost, silentMs } = engine.stats()
  if (fault !== undefined) return notNow(isDeviceLost ? 'device_lost' : 'error', fault)
  if (silentMs > timeoutMs) {
    return notNow('error', `the GPU has not finished a step for ${Math.floor(silentMs / 1000)} s`)
  }
  return Response.json({ status: 'ok' })
}

/** GET /ready: 200 if a request that came now would be taken; a full queue is no reason against. */
export function ready(engine: Engine, drain: Drain): Response {
  const { fault, isDeviceLost } = engine.stats()
  if (fault !== undefined) return notNow(isDeviceLost ? 'device_lost' : 'error', fault)
  if (drain.isAnnounced) return notNow('draining', 'the server is shutting down')
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

type Unavailable = 'loading' | 'draining' | 'device_lost' | 'error'

function notNow(status: Unavailable, reason: string): Response {
  const headers = { 'retry-after': String(RETRY_AFTER) }
  return Response.json({ status, reason }, { status: 503, headers })
}
