// GET and DELETE of stored responses, and the count of tokens that a request would read.

import type { Context } from 'hono'
import { ApiError } from '../../errors.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { badField } from '../fields/errors.ts'
import { readBody } from '../generation/body.ts'
import { resolveModel } from '../system/models.ts'
import { contextOf, type Stored } from './conversation.ts'
import type { Item } from './items.ts'
import { parseResponsesBody } from './schema.ts'

/** Items on one page, as at OpenAI. */
const MAX_PAGE = 100
const DEFAULT_PAGE = 20

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

/** Which of a list is wanted, as it stands in the query. */
export interface PageQuery {
  /** From 1 to 100. */
  limit?: string
  /** `asc` or `desc`, which is the default. */
  order?: string
  /** The id of the item before the page. */
  after?: string
}

/**
 * GET /v1/responses/{id}/input_items: a page of what the request brought. Throws ApiError 400 for a
 * query that makes no sense.
 */
export function listInputItems(id: string, server: ServerContext, query: PageQuery = {}): Response {
  const { page, hasMore } = pageOf(find(id, server).input, query)
  return Response.json({
    object: 'list',
    data: page,
    first_id: page.at(0)?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
    has_more: hasMore,
  })
}

/** POST /v1/responses/input_tokens: the tokens that a request would read, without generating. */
export async function countInputTokens(
  c: Context<AppEnv>,
  server: ServerContext,
): Promise<Response> {
  const body = await readBody(c, server, parseResponsesBody)
  resolveModel(body.model, server.model)
  const { prompt } = contextOf(body, server)
  return Response.json({ object: 'response.input_tokens', input_tokens: prompt.tokens.length })
}

function pageOf(items: readonly Item[], { limit, order = 'desc', after }: PageQuery) {
  const size = limit === undefined ? DEFAULT_PAGE : Number(limit)
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE) {
    throw badField('limit', `a whole number from 1 to ${MAX_PAGE}`, limit)
  }
  if (order !== 'asc' && order !== 'desc') throw badField('order', 'asc or desc', order)
  const sorted = order === 'asc' ? items : items.toReversed()
  const before = after === undefined ? -1 : sorted.findIndex((item) => item.id === after)
  if (after !== undefined && before < 0) throw badField('after', 'the id of an item', after)
  const end = before + 1 + size
  return { page: sorted.slice(before + 1, end), hasMore: end < sorted.length }
}

function find(id: string, { responses }: ServerContext): Stored {
  const stored = responses.get(id)
  if (stored) return stored
  throw new ApiError(404, `there is no response ${JSON.stringify(id.slice(0, 100))}`, {
    param: 'response_id',
    code: 'response_not_found',
  })
}
