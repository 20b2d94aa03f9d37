// Reads and checks the body of a request.

import type { Context } from 'hono'
import type { AppEnv, ServerContext } from '../context.ts'
import type { Parsed } from '../fields/generation.ts'
import { readJsonObject } from '../json-body.ts'

/** Names of ignored fields that one log line lists. */
const MAX_LISTED = 20

/** The checked body; throws ApiError 400, 413 or 415. Fields that are ignored go to the debug log. */
export async function readBody<Body>(
  c: Context<AppEnv>,
  { limits }: ServerContext,
  parse: (raw: Record<string, unknown>) => Parsed<Body>,
): Promise<Body> {
  const record = c.get('record')
  const raw = await readJsonObject(c.req.raw, limits.maxBodyBytes)
  record.begin()
  const { body, ignored } = parse(raw)
  if (ignored.length > 0) {
    const fields = ignored.slice(0, MAX_LISTED).map((name) => name.slice(0, 40))
    record.log.debug('ignored fields', { fields })
  }
  return body
}
