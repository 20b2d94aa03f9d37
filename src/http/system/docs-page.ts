// GET /docs: the OpenAPI document as a page for people. No script, nothing from elsewhere.

import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { JsonSchema } from './field-notes.ts'
import type { OpenApiDocument } from './openapi.ts'

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { max-width: 52rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 1.1rem; }
h2 code { font-size: 1rem; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.85rem; }
pre { padding: 0.75rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 0.4rem; }
dt { margin-top: 0.6rem; overflow-wrap: anywhere; }
dt b { font-family: ui-monospace, monospace; font-size: 0.9rem; }
dd { margin-left: 1rem; }
nav ul { padding-left: 0; list-style: none; columns: 18rem; }
nav li { break-inside: avoid; overflow-wrap: anywhere; }
small, .quiet { opacity: 0.75; }
`

/** Lets the page have its style and nothing else. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** What the page reads of an operation. */
interface Operation {
  summary?: string
  description?: string
  security?: readonly object[]
  requestBody?: { content?: Record<string, { schema?: JsonSchema; example?: unknown }> }
  responses?: Record<string, { description?: string }>
}

interface Route {
  method: string
  path: string
  operation: Operation
}

/**
 * The page.
 * @param url of the request, for examples that can be copied
 */
export function docsPage(document: OpenApiDocument, url: string): Response {
  const { origin } = new URL(url)
  const needsKey = (document.security ?? []).length > 0
  const routes = routesOf(document)
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info.title} ${document.info.version}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header>
<h1>${document.info.title}</h1>
<p class="quiet">Version ${document.info.version}, also as <a href="/openapi.json">openapi.json</a></p>
<p>${inline(document.info.description)}</p>
</header>
<nav><ul>
${routes.map((route) => html`<li><a href="#${anchor(route)}"><code>${title(route)}</code></a></li>`)}
</ul></nav>
<main>
${routes.map((route) => section(route, origin, needsKey))}
</main>
</body>
</html>
`
  return new Response(String(page), {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      'referrer-policy': 'no-referrer',
    },
  })
}

function routesOf({ paths }: OpenApiDocument): Route[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...{ path, method: method.toUpperCase() },
      operation: operation as Operation,
    })),
  )
}

function title({ method, path }: Route): string {
  return `${method} ${path}`
}

function anchor(route: Route): string {
  return title(route).replaceAll(/\W+/g, '-')
}

function section(route: Route, origin: string, needsKey: boolean) {
  const { summary, description, requestBody, responses = {} } = route.operation
  const json = requestBody?.content?.['application/json']
  const properties = Object.entries((json?.schema?.properties ?? {}) as Record<string, JsonSchema>)
  const required = (json?.schema?.required ?? []) as string[]
  const isOpen = route.operation.security?.length === 0
  const example = curl(route, origin, needsKey && !isOpen, json?.example)
  return html`
<section id="${anchor(route)}">
<h2><code>${title(route)}</code></h2>
<p>${summary}.${needsKey && isOpen ? ' Needs no key.' : ''} ${description}</p>
<pre>${example}</pre>
${properties.length === 0 ? '' : html`<dl>${properties.map(([name, schema]) => field(name, schema, required.includes(name)))}</dl>`}
<ul>${Object.entries(responses).map(
    ([status, { description }]) => html`<li><b>${status}</b> ${description}</li>`,
  )}</ul>
</section>`
}

function field(name: string, schema: JsonSchema, isRequired: boolean) {
  const notes = [typeName(schema), range(schema), isRequired ? 'required' : fallback(schema)]
  return html`
<dt><b>${name}</b> <small>${notes.filter((note) => note !== '').join(', ')}</small></dt>
<dd>${schema.description}</dd>`
}

/** A type in words: `integer`, `list of string`, `string or list of string`, `left or right`. */
function typeName(schema: JsonSchema): string {
  const { type, enum: values, const: value, items, anyOf, oneOf } = schema
  if (Array.isArray(values)) return values.join(' or ')
  if (value !== undefined) return String(value)
  const choices = (anyOf ?? oneOf) as JsonSchema[] | undefined
  if (choices) return [...new Set(choices.map(typeName))].join(' or ')
  if (type === 'array') return `list of ${typeName((items ?? {}) as JsonSchema)}`
  return Array.isArray(type) ? type.join(' or ') : String(type ?? 'anything')
}

/** Bounds of a number that say something: those of 32 bits and beyond do not. */
function range({ minimum, exclusiveMinimum, maximum }: JsonSchema): string {
  const isTelling = (bound: unknown) => typeof bound === 'number' && Math.abs(bound) < 2 ** 31 - 1
  const bounds: string[] = []
  if (isTelling(minimum)) bounds.push(`at least ${minimum}`)
  if (isTelling(exclusiveMinimum)) bounds.push(`above ${exclusiveMinimum}`)
  if (isTelling(maximum)) bounds.push(`at most ${maximum}`)
  return bounds.join(', ')
}

function fallback({ default: value }: JsonSchema): string {
  return value === undefined ? '' : `default: ${JSON.stringify(value)}`
}

function curl(
  { method, path }: Route,
  origin: string,
  needsKey: boolean,
  example: unknown,
): string {
  const parts = [`curl ${origin}${path}`]
  if (needsKey) parts.push("-H 'authorization: Bearer KEY'")
  if (method !== 'GET' && method !== 'POST') parts.push(`-X ${method}`)
  if (example !== undefined) {
    parts.push("-H 'content-type: application/json'", `-d '${JSON.stringify(example)}'`)
  }
  return parts.join(' \\\n  ')
}

/** A description, which is Markdown, with its code as code. */
function inline(text = '') {
  const parts = text.split('`')
  return parts.map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))
}
