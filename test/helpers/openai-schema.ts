// Whether JSON is what OpenAI's API answers: validators made of its own schemas, with the
// exemptions that real servers need, and of our short schema of the Responses API.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import openai from '../fixtures/openai.schema.json'
import responses from '../fixtures/responses.schema.json'

type Node = Record<string, unknown>

const PREFIX = '#/components/schemas/'

/** The schemas of the fixture, ready for ajv; all in one `$defs`. */
const defs = adapt(openai.components.schemas) as Record<string, Node>
for (const stream of [false, true]) {
  for (const echo of [false, true]) defs[completionName(stream, echo)] = exempt(stream, echo)
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv, ['uri', 'date'])
// Numbers that say what they count; the type beside them is all there is to check.
for (const name of ['unixtime', 'int64']) ajv.addFormat(name, true)

const completions = [false, true].map((echo) =>
  expecter('completion', compile(completionName(false, echo))),
)
const completionChunks = [false, true].map((echo) =>
  expecter('completion chunk', compile(completionName(true, echo))),
)

/** A reply to POST /v1/completions; with `echo` the first token has no log-probability. */
export function expectCompletion(json: unknown, { echo = false } = {}): void {
  completions[Number(echo)](json)
}

/** An event of its stream. */
export function expectCompletionChunk(json: unknown, { echo = false } = {}): void {
  completionChunks[Number(echo)](json)
}

/** A reply to POST /v1/chat/completions. */
export const expectChat = expecter('chat completion', compile('CreateChatCompletionResponse'))
/** An event of its stream. */
export const expectChatChunk = expecter('chat chunk', compile('CreateChatCompletionStreamResponse'))
/** The body of every status from 400, and the event that ends a broken stream. */
export const expectError = expecter('error', compile('ErrorResponse'))
/** A reply to GET /v1/models. */
export const expectModels = expecter('list of models', compile('ListModelsResponse'))
/** A reply to GET /v1/models/{id}. */
export const expectModel = expecter('model', compile('Model'))
/** A reply to POST /v1/responses. */
export const expectResponse = expecter('response', compileResponses('Response'))
/** An event of its stream. */
export const expectResponseEvent = expecter('response event', compileResponses('Event'))

/** Throws with every fault and the beginning of the JSON if it is not of the kind. */
function expecter(kind: string, validate: ValidateFunction): (json: unknown) => void {
  return (json) => {
    if (validate(json)) return
    const faults = (validate.errors ?? []).map(
      ({ instancePath, message, params }) =>
        `  ${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
    )
    const shown = JSON.stringify(json)?.slice(0, 1000)
    throw new Error(`not a sound ${kind}:\n${faults.join('\n')}\n  in ${shown}`)
  }
}

function compile(name: string): ValidateFunction {
  return ajv.compile({ $ref: `#/$defs/${name}`, $defs: defs })
}

function compileResponses(name: string): ValidateFunction {
  return ajv.compile({ $ref: `#/$defs/${name}`, ...responses })
}

/** OpenAPI 3.0 in JSON Schema's words: `nullable` as a union with null, references into `$defs`. */
function adapt(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(adapt)
  if (typeof node !== 'object' || node === null) return node
  const { nullable, ...rest } = node as Node
  const adapted = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [
      key,
      key === '$ref' ? String(value).replace(PREFIX, '#/$defs/') : adapt(value),
    ]),
  )
  return nullable === true ? orNull(adapted) : adapted
}

function orNull(schema: unknown): Node {
  return { anyOf: [schema, { type: 'null' }] }
}

function completionName(stream: boolean, echo: boolean): string {
  return `${stream ? 'CompletionChunk' : 'CreateCompletionResponse'}${echo ? 'WithEcho' : ''}`
}

/**
 * Where real servers leave the schema of completions: under echo the first token has neither a
 * log-probability nor alternatives, and in a stream, which has no schema of its own, a choice that
 * goes on has no finish reason and a chunk before the last no usage.
 */
function exempt(stream: boolean, echo: boolean): Node {
  const schema = structuredClone(defs.CreateCompletionResponse)
  const properties = (node: Node) => node.properties as Record<string, Node>
  const choice = properties(properties(schema).choices.items as Node)
  if (stream) {
    choice.finish_reason = orNull(choice.finish_reason)
    properties(schema).usage = orNull(properties(schema).usage)
  }
  if (echo) {
    const [arrays] = choice.logprobs.anyOf as Node[]
    for (const name of ['token_logprobs', 'top_logprobs']) {
      const array = properties(arrays)[name]
      array.prefixItems = [orNull(array.items)]
    }
  }
  return schema
}
