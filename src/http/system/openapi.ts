// The OpenAPI document: what `route-docs.ts` says about each route, put together.

import type { Hono } from 'hono'
import { generateSpecs } from 'hono-openapi'
import type { AppEnv } from '../context.ts'

export type OpenApiDocument = Awaited<ReturnType<typeof generateSpecs>>

const DESCRIPTION = [
  "OpenAI's HTTP API for gated linear-attention language models, with fields that other servers",
  'added to it. A field that is null counts as left out. Fields that are not listed here are',
  'ignored if that cannot change the answer; others get status 400 and are named in `param`.',
  'Every reply has the header `x-request-id`: that of the request if it had one, else a new one.',
].join(' ')

/**
 * The document of an app, made when it is first asked for.
 * @param isGuarded whether requests need an API key
 */
export function openApiDocument(
  app: Hono<AppEnv>,
  version: string,
  isGuarded: boolean,
): () => Promise<OpenApiDocument> {
  let made: Promise<OpenApiDocument> | undefined
  return () => {
    made ??= generateSpecs(app, {
      // Else it would leave out paths with a dot, such as its own.
      excludeStaticFile: false,
      documentation: {
        info: { title: 'glaze', version, description: DESCRIPTION },
        servers: [{ url: '/' }],
        security: isGuarded ? [{ bearer: [] }, { header: [] }] : [],
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer' },
            header: { type: 'apiKey', in: 'header', name: 'x-api-key' },
          },
          schemas: {
            Error: {
              type: 'object',
              required: ['error'],
              properties: {
                error: {
                  type: 'object',
                  required: ['message', 'type', 'param', 'code'],
                  properties: {
                    message: { type: 'string', description: 'What was found and what is allowed.' },
                    type: { type: 'string', description: 'The kind of error.' },
                    param: { type: ['string', 'null'], description: 'The field at fault.' },
                    code: { type: ['string', 'null'], description: 'The cause, for programs.' },
                  },
                },
              },
            },
          },
          responses: {
            Error: {
              description: 'An error',
              content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
            },
          },
        },
      },
    })
    return made
  }
}
