// GET and DELETE of stored responses, and the count of tokens that a request would read.

import type { Context } from 'hono'
import { ApiError } from '../../errors.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { readBody } from '../generation/body.ts'
import { contextOf, type Stored } from './conversation.ts'
import { parseResponsesBody } from './schema.ts'

/** GET /v1/responses/{id}; throws ApiError 404 for one that is not stored. */
export function retrieveResponse(id: string, server: ServerContext): Response {
  return Response.json(find(id, server).response)
}

/** DELETE /v1/responses/{id} */
export function deleteResponse(id: string, server: ServerContext): Response {
  find(id, server)
  server.responses.delete(id)
  return Response.json({ id, object: 'response', deleted: true })
}

/** GET /v1/responses/{id}/input_items: what the request brought, all on one page. */
export function listInputItems(id: string, server: ServerContext): Response {
  const { input } = find(id, server)
  return Response.json({
    object: 'list',
    data: input,
    first_id: input.at(0)?.id ?? null,
    last_id: input.at(-1)?.id ?? null,
    has_more: false,
  })
}

/** POST /v1/responses/input_tokens: the tokens that a request would read, without generating. */
export async function countInputTokens(
  c: Context<AppEnv>,
  server: ServerContext,
): Promise<Response> {
  const body = await readBody(c, server, parseResponsesBody)
  const { prompt } = contextOf(body, server)
  return Response.json({ object: 'response.input_tokens', input_tokens: prompt.tokens.length })
}

function find(id: string, { responses }: ServerContext): Stored {
  const stored = responses.get(id)
  if (stored) return stored
  throw new ApiError(404, `there is no response ${JSON.stringify(id.slice(0, 100))}`, {
    param: 'response_id',
    code: 'response_not_found',
  })
}
