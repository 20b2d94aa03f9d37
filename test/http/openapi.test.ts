// The OpenAPI document: complete, well-formed, and true of what the server answers.

import { describe, expect, test } from 'bun:test'
import Ajv2020 from 'ajv/dist/2020.js'
import type { ChatTemplate } from '../../src/http/context.ts'
import { PROBE_PATHS } from '../../src/http/system/probes.ts'
import { guardedApp } from './guarded-app.ts'
import { type Json, testApp } from './test-app.ts'

async function documentOf(app: ReturnType<typeof testApp>['app'], headers = {}): Promise<Json> {
  return (await app.request('/openapi.json', { headers })).json()
}

const chatTemplate: ChatTemplate = {
  ...{ knowsTools: false, toolCallStyle: 'json', renderUpTo: () => undefined },
  render: ({ messages }) => messages.map(({ content }) => content).join('\n'),
}

const served = testApp()
const document = await documentOf(served.app)
const operations: [string, Json][] = Object.entries<Json>(document.paths).flatMap(
  ([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]): [string, Json] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
)

/** Every reference in the document. */
function* referencesIn(node: unknown): Generator<string> {
  if (typeof node !== 'object' || node === null) return
  for (const [name, value] of Object.entries(node)) {
    if (name === '$ref') yield value
    else yield* referencesIn(value)
  }
}

describe('the document', () => {
  test('is OpenAPI 3.1 with the version of the server', () => {
    expect(document.openapi).toStartWith('3.1.')
    expect(document.info).toMatchObject({ title: 'glaze', version: '1.2.3' })
    expect(Object.keys(document).sort()).toEqual(
      ['components', 'info', 'openapi', 'paths', 'security', 'servers'].sort(),
    )
  })

  test('describes every route and nothing else', () => {
    const routes = served.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}')}`)
    expect(operations.map(([name]) => name).sort()).toEqual([...new Set(routes)].sort())
  })

  test.each(operations)('%s is whole', (name, operation) => {
    expect(operation.summary).toBeString()
    expect(operation.operationId).toMatch(/^\w+$/)
    expect(Object.keys(operation.responses)).toContain('200')
    for (const [status, response] of Object.entries<Json>(operation.responses)) {
      expect(status).toMatch(/^[2-5]\d\d$/)
      expect(response.description).toBeString()
    }
    const names = [...name.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const declared: Json[] = operation.parameters ?? []
    const inPath = declared.filter((parameter) => parameter.in === 'path')
    expect(inPath.map((parameter) => parameter.name)).toEqual(names)
    for (const parameter of inPath) {
      expect(parameter).toMatchObject({ required: true, schema: { type: 'string' } })
    }
    for (const parameter of declared.slice(inPath.length)) {
      expect(parameter).toMatchObject({ in: 'query', required: false, schema: {} })
    }
    expect(operation.requestBody?.content['application/json'] !== undefined).toBe(
      name.startsWith('POST '),
    )
  })

  test('has ids that last', () => {
    expect(operations.map(([, operation]) => operation.operationId).sort()).toEqual([
      ...['countInputTokens', 'createChatCompletion', 'createCompletion', 'createResponse'],
      ...['deleteResponse', 'detokenize', 'detokenizeV1', 'getDocsPage', 'getHealth'],
      ...['getHealthReadiness', 'getLiveness', 'getOpenApiDocument', 'getPage'],
      ...['getReadiness', 'getStatus', 'getVersion', 'listInputItems', 'listModels'],
      ...['retrieveModel', 'retrieveResponse', 'tokenize', 'tokenizeV1'],
    ])
  })

  test.each(operations)('%s has the errors that any route may give', (name, { responses }) => {
    const [method, path] = name.split(' ')
    const expected = [401, 500, 503]
    if (method === 'POST' || method === 'DELETE') expected.push(403)
    if (method === 'POST') expected.push(400, 413, 415)
    const isProbe = PROBE_PATHS.includes(path)
    expect(Object.keys(responses)).toEqual(
      expect.arrayContaining(isProbe ? ['503'] : expected.map(String)),
    )
  })

  test('has references that lead somewhere', () => {
    const references = [...referencesIn(document)]
    expect(references.length).toBeGreaterThan(0)
    for (const reference of references) {
      const target = reference
        .slice(2)
        .split('/')
        .reduce((node: Json, key: string) => node?.[key], document)
      expect(target).toBeObject()
    }
  })

  test('has only valid schemas, and examples that fit them', () => {
    const ajv = new Ajv2020({ strict: false })
    let count = 0
    for (const [, { requestBody, responses }] of operations) {
      const bodies = [requestBody, ...Object.values<Json>(responses)]
      for (const { schema, example } of bodies.flatMap((body) =>
        Object.values<Json>(body?.content ?? {}),
      )) {
        const isValid = ajv.compile(schema)
        if (example === undefined) continue
        expect([isValid(example), isValid.errors]).toEqual([true, null])
        count++
      }
    }
    expect(count).toBeGreaterThan(10)
  })

  test('says what each field of a body is', () => {
    for (const [name, operation] of operations) {
      const schema = operation.requestBody?.content['application/json'].schema
      for (const [field, property] of Object.entries<Json>(schema?.properties ?? {})) {
        expect([name, field, typeof property.description]).toEqual([name, field, 'string'])
        const isTyped = 'type' in property || 'anyOf' in property || 'oneOf' in property
        expect([name, field, isTyped || 'const' in property]).toEqual([name, field, true])
      }
    }
  })

  test('knows what the checks in code allow', () => {
    const { properties, required } =
      document.paths['/v1/completions'].post.requestBody.content['application/json'].schema
    expect(properties.max_tokens).toMatchObject({ type: 'integer', minimum: 0, default: 16 })
    expect(properties.temperature).toMatchObject({ type: 'number', minimum: 0, maximum: 2 })
    expect(properties.stop.anyOf.map((schema: Json) => schema.type)).toEqual(['string', 'array'])
    expect(required).toEqual(['prompt'])
    const fits = new Ajv2020({ strict: false }).compile({ type: 'object', properties })
    for (const prompt of ['a', ['a', 'b'], [1, 2], [[1], [2]]]) expect(fits({ prompt })).toBe(true)
    for (const prompt of [1, [1.5], {}, ['a', 1]]) expect(fits({ prompt })).toBe(false)
    expect(fits({ stop: 'a', logit_bias: { 5: -100 } })).toBe(true)
    expect(fits({ logit_bias: { 5: -101 } })).toBe(false)
    expect(fits({ n: 1.5 })).toBe(false)
  })

  test.each<[string, string, unknown, boolean]>([
    ['/v1/completions', 'logit_bias', { 0: 1, 4095: -1 }, true],
    ['/v1/completions', 'logit_bias', { king: 1 }, false],
    ['/v1/completions', 'logit_bias', { '01': 1 }, false],
    ['/v1/completions', 'logit_bias', [1], false],
    ['/v1/completions', 'truncate_prompt_tokens', -1, true],
    ['/v1/completions', 'truncate_prompt_tokens', 1, true],
    ['/v1/completions', 'truncate_prompt_tokens', 0, false],
    ['/v1/completions', 'truncate_prompt_tokens', -2, false],
    ['/v1/completions', 'truncate_prompt_tokens', 1.5, false],
    ['/v1/completions', 'structured_outputs', {}, false],
    ['/v1/completions', 'structured_outputs', { regex: 'a' }, true],
    ['/v1/completions', 'seed', -(2 ** 60), true],
    ['/v1/completions', 'stop_token_ids', [1.5], false],
    ['/v1/chat/completions', 'top_logprobs', 1.5, false],
    ['/v1/responses', 'metadata', { topic: 'tales' }, true],
    ['/v1/responses', 'metadata', { topic: 1 }, false],
    ['/v1/responses', 'metadata', 'tales', false],
  ])('of %s, takes as the server does %s: %j, %p', async (path, field, value, isFine) => {
    const { schema, example } = document.paths[path].post.requestBody.content['application/json']
    const fits = new Ajv2020({ strict: false }).compile(schema)
    const body = { ...example, [field]: value, ...(field === 'top_logprobs' && { logprobs: true }) }
    expect(fits(body)).toBe(isFine)
    const { post } = testApp({ chatTemplate })
    expect((await post(body, {}, path)).status).toBe(isFine ? 200 : 400)
  })

  test('knows that a model may have a bound', () => {
    const { schema } = document.paths['/v1/models'].get.responses['200'].content['application/json']
    const fits = new Ajv2020({ strict: false }).compile(schema)
    const model = { id: 'a', object: 'model', created: 1, owned_by: 'glaze' }
    expect(fits({ object: 'list', data: [model] })).toBe(true)
    expect(fits({ object: 'list', data: [{ ...model, max_model_len: 2048 }] })).toBe(true)
    expect(fits({ object: 'list', data: [{ ...model, max_model_len: 'long' }] })).toBe(false)
    expect(fits({ object: 'list', data: [{ ...model, owned_by: undefined }] })).toBe(false)
  })

  test('asks for a key where one is needed', async () => {
    expect(document.security).toEqual([])
    const { app } = guardedApp({ apiKeys: ['k'] })
    const guarded = await documentOf(app, { 'x-api-key': 'k' })
    expect(guarded.security).toEqual([{ bearer: [] }, { header: [] }])
    expect(Object.keys(guarded.components.securitySchemes)).toEqual(['bearer', 'header'])
    expect(guarded.paths['/health'].get.security).toEqual([])
    expect(guarded.paths['/version'].get).not.toHaveProperty('security')
  })
})

describe('the server', () => {
  test.each(operations)('answers the example of %s as described', async (name, operation) => {
    const { app } = testApp({ chatTemplate })
    const [method, path] = name.replace('{id}', 'tales').split(' ')
    const example = operation.requestBody?.content['application/json'].example
    const body = example && JSON.stringify({ ...example, model: undefined })
    const response = await app.request(path, { method, body })
    if (path.startsWith('/v1/responses/tales')) {
      expect(response.status).toBe(404)
      expect(operation.responses).toHaveProperty('404')
      return
    }
    expect(response.status).toBe(200)
    const type = response.headers.get('content-type')!.replace(/;.*/, '')
    const described = operation.responses['200'].content[type]
    expect(described).toBeObject()
    if (type !== 'application/json') return
    const fits = new Ajv2020({ strict: false }).compile(described.schema)
    const reply = await response.json()
    expect([fits(reply), fits.errors]).toEqual([true, null])
  })

  test('describes its errors', async () => {
    const { app } = testApp()
    const error = await (await app.request('/v1/completions', { method: 'POST' })).json()
    const fits = new Ajv2020({ strict: false }).compile(document.components.schemas.Error)
    expect(fits(error)).toBe(true)
    expect(fits({ error: { message: 'x' } })).toBe(false)
  })
})
