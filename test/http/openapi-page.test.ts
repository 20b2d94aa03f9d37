// GET /docs: a page that needs nothing but itself and shows all that the document says.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { OPEN_PATHS } from '../../src/http/guard/api-keys.ts'
import { guardedApp } from './guarded-app.ts'
import { type Json, testApp } from './test-app.ts'

const { app } = testApp()
const response = await app.request('http://tales.example:81/docs')
const page = await response.text()
const document = (await (await app.request('/openapi.json')).json()) as Json

/** Start and end tags in order, and the names of all attributes. */
async function parse(text: string) {
  const tags: string[] = []
  const attributes = new Map<string, string[]>()
  const rewriter = new HTMLRewriter().on('*', {
    element(element) {
      tags.push(element.tagName)
      for (const [name, value] of element.attributes) {
        attributes.set(name, [...(attributes.get(name) ?? []), value])
      }
    },
  })
  await rewriter.transform(new Response(text)).text()
  return { tags, attributes }
}

describe('the page', () => {
  test('is HTML with a policy that lets in its own style only', () => {
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const style = /<style>([\s\S]*)<\/style>/.exec(page)![1]
    const hash = createHash('sha256').update(style).digest('base64')
    const policy = response.headers.get('content-security-policy')!.split('; ')
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain(`style-src 'sha256-${hash}'`)
    expect(style).toContain('color-scheme: light dark')
    expect(page).toContain('name="viewport"')
  })

  test('has no script, and links to this server only', async () => {
    const { tags, attributes } = await parse(page)
    expect(tags).not.toContain('script')
    expect(attributes.has('src')).toBe(false)
    expect(attributes.has('style')).toBe(false)
    const ids = attributes.get('id')!
    expect(new Set(ids).size).toBe(ids.length)
    const [self, ...anchors] = attributes.get('href')!
    expect(self).toBe('/openapi.json')
    expect(anchors).toEqual(ids.map((id) => `#${id}`))
  })

  test('closes every element that it opens', () => {
    const count = (pattern: RegExp) => [...page.matchAll(pattern)].length
    for (const tag of ['section', 'dl', 'dt', 'dd', 'ul', 'li', 'pre', 'p', 'h2', 'code', 'main']) {
      const opened = count(new RegExp(`<${tag}[ >]`, 'g'))
      expect(opened).toBeGreaterThan(0)
      expect([tag, count(new RegExp(`</${tag}>`, 'g'))]).toEqual([tag, opened])
    }
  })

  test('shows each route with its fields', () => {
    const sections = page.split('<section').slice(1)
    const operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods).map(([method, operation]) => ({ path, method, operation })),
    )
    expect(sections.length).toBe(operations.length)
    for (const [index, { path, method, operation }] of operations.entries()) {
      expect(sections[index]).toContain(`<code>${method.toUpperCase()} ${path}</code>`)
      expect(sections[index]).toContain(`curl http://tales.example:81${path}`)
      const schema = operation.requestBody?.content['application/json'].schema
      for (const name of Object.keys(schema?.properties ?? {})) {
        expect(sections[index]).toContain(`<dt><b>${name}</b>`)
      }
    }
    expect(page).not.toMatch(/undefined|\[object|NaN/)
  })

  test.each([
    ['prompt', 'string or list of string or list of integer or list of list of integer, required'],
    ['max_tokens', 'integer, at least 0, default: 16'],
    ['temperature', 'number, at least 0, at most 2'],
    ['top_p', 'number, above 0, at most 1'],
    ['stop', 'string or list of string'],
    ['truncation_side', 'left or right, default: "left"'],
  ])('says what %s may be', (name, text) => {
    const shown = page.replaceAll('&quot;', '"')
    expect(shown).toContain(`<dt><b>${name}</b> <small>${text}</small></dt>`)
  })

  test('escapes what it shows', () => {
    expect(page).toContain('&lt;/s&gt;')
    expect(page).not.toContain('</s>')
  })
})

test('with API keys, examples have one, and probes and the page need none', async () => {
  const { app } = guardedApp({ apiKeys: ['secret'] })
  const guarded = await (await app.request('/docs', { headers: { 'x-api-key': 'secret' } })).text()
  expect(guarded).not.toContain('secret')
  for (const section of guarded.split('<section').slice(1)) {
    const [, path] = /<code>GET ([^<]+)</.exec(section) ?? []
    const isOpen = OPEN_PATHS.includes(path)
    expect(section.includes('Bearer KEY')).toBe(!isOpen)
    expect(section.includes('Needs no key')).toBe(isOpen)
  }
})
