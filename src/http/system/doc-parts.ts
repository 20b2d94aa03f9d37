// The pieces that descriptions of routes are made of: bodies, replies, streams, errors.

import type { z } from 'zod'
import { bodySchema } from './body-schema.ts'
import type { FieldNote, JsonSchema } from './field-notes.ts'

/** What goes wrong where something is changed. */
export const PAGE_FAULT = {
  403: 'A page of another origin asks, and --allow-origin does not let it',
}

/** What goes wrong where a body is sent. */
export const BODY_FAULTS = {
  400: 'A field is wrong or not supported; `param` names it',
  ...PAGE_FAULT,
  413: 'The body is too large',
  415: 'The body is not JSON',
  503: 'The model is still being loaded, or the server shuts down',
}

export const MODEL_FAULT = { 404: 'The model is not served here' }

/** What else goes wrong where text is generated. */
export const WORK_FAULTS = {
  ...BODY_FAULTS,
  ...MODEL_FAULT,
  429: 'The queue is full; `retry-after` says when to come back',
  503: 'Waited too long for a slot, or the server loads its model, shuts down, or has failed',
  504: 'Ran longer than the server allows',
}

/** The `{id}` of a path. */
export function idParameter(description: string) {
  return {
    ...{ name: 'id', in: 'path' as const, required: true, description },
    schema: { type: 'string' as const },
  }
}

/** A parameter of the query, which may be left out. */
export function queryParameter(name: string, description: string, schema: JsonSchema) {
  return { name, in: 'query' as const, required: false, description, schema }
}

/** A body that is JSON; `own` says what fields mean in this route only. */
export function body(schema: z.ZodObject, example: object, own?: Record<string, FieldNote>) {
  const content = { 'application/json': { schema: bodySchema(schema, own), example } }
  return { required: true, content }
}

/** A reply that is JSON; the example shows its form where no schema is given. */
export function reply(description: string, example: object, schema: JsonSchema = formOf(example)) {
  return { description, content: { 'application/json': { schema, example } } }
}

/** A reply that is a stream with `stream: true`; `prefix` leads each event. */
export function generated(example: object, prefix: string, event: object) {
  const { description, content } = reply('The text, whole or as server-sent events', example)
  const stream = {
    schema: { type: 'string' as const },
    example: `${prefix}${JSON.stringify(event)}\n\n`,
  }
  return { description, content: { ...content, 'text/event-stream': stream } }
}

/** What goes wrong anywhere but with probes. */
const COMMON_FAULTS = {
  401: 'The API key is missing or not valid',
  500: 'A fault of the server; its log says more under the id of the request',
  503: 'The model is still being loaded',
}

/** Errors by status, each with the one body that all have. */
export function errors(faults: Record<number, string> = {}) {
  const all = { ...COMMON_FAULTS, ...faults }
  const entries = Object.entries(all).map(([status, description]) => [
    status,
    { $ref: '#/components/responses/Error', description },
  ])
  return Object.fromEntries(entries)
}

/** Members that have several forms, of which an example shows one. */
const MANIFOLD = new Set(['content', 'output'])

/** The types of an example's values, all of them required; what is null there may be anything. */
export function formOf(example: unknown): JsonSchema {
  if (example === null || example === undefined) return {}
  if (Array.isArray(example)) return { type: 'array', items: formOf(example[0]) }
  if (typeof example !== 'object') {
    return { type: Number.isInteger(example) ? 'integer' : typeof example }
  }
  const members = Object.entries(example).map(([key, value]) => [
    key,
    MANIFOLD.has(key) ? {} : formOf(value),
  ])
  const properties = Object.fromEntries(members)
  return { type: 'object', required: Object.keys(example), properties }
}
