// JSON schemas of request bodies for the OpenAPI document, from the zod schemas that check them.

import { z } from 'zod'
import { FIELD_NOTES, type FieldNote, type JsonSchema } from './field-notes.ts'

/**
 * The schema of what clients send, with the notes on its fields.
 * @param own what fields mean in this route only
 */
export function bodySchema(schema: z.ZodObject, own: Record<string, FieldNote> = {}): JsonSchema {
  const { $schema: _dialect, ...body } = z.toJSONSchema(schema, {
    // Defaults need not be sent.
    io: 'input',
    unrepresentable: 'any',
  })
  const noteOf = (name: string): FieldNote | undefined => own[name] ?? FIELD_NOTES[name]
  const order = Object.keys(FIELD_NOTES)
  const properties = Object.entries(body.properties ?? {})
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([name, property]) => [name, describe(property as JsonSchema, noteOf(name))] as const)
  const required = properties.map(([name]) => name).filter((name) => noteOf(name)?.required)
  return {
    ...body,
    properties: Object.fromEntries(properties),
    required: [...(body.required ?? []), ...required],
  }
}

function describe(property: JsonSchema, note: FieldNote | undefined): JsonSchema {
  if (note === undefined) return property
  const { default: fallback, ...schema } = property
  const typed = note.as?.(schema) ?? schema
  const described = { description: note.text, ...typed }
  return fallback === undefined ? described : { ...described, default: fallback }
}
