// The keys that a reply and all chunks of a stream share.

import type { Context } from 'hono'
import type { AppEnv, ServerContext } from '../context.ts'

export interface Envelope<Kind extends string> {
  id: string
  object: Kind
  /** Seconds since 1970. */
  created: number
  model: string
  system_fingerprint: string
}

/** @param prefix of the id, for example `cmpl`; the caller's `request_id` follows, or that of HTTP */
export function envelope<Kind extends string>(
  c: Context<AppEnv>,
  server: ServerContext,
  { prefix, object, model, requestId }: EnvelopeOptions<Kind>,
): Envelope<Kind> {
  return {
    id: `${prefix}-${requestId ?? c.get('requestId')}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: fingerprint(server),
  }
}

/** Equal where the same version serves the same files. */
function fingerprint({ version, model }: ServerContext): string {
  const commit = model.revision === undefined ? '' : `-${model.revision.slice(0, 7)}`
  return `glaze-${version}-${model.ids[0]}${commit}`
}

interface EnvelopeOptions<Kind> {
  prefix: string
  object: Kind
  /** The name that the client used. */
  model: string
  requestId: string | undefined
}
