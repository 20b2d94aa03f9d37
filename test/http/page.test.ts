// GET /: one file that needs nothing but this server, open to all, with a policy as tight as it can be.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createLoadingApp } from '../../src/http/app.ts'
// @ts-expect-error: types of the page's script stay with it
import { bytes, count, duration, rate } from '../../src/http/page/units.js'
import { createLogger } from '../../src/log.ts'
import { guardedApp } from './guarded-app.ts'
import type { Json } from './test-app.ts'

const FOLDER = join(import.meta.dir, '../../src/http/page')
/** What Chromium sends for a page. */
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

const { app } = guardedApp({ apiKeys: ['sk-secret'] })
const response = await app.request('/', { headers: BROWSER })
const page = await response.text()
const [style] = insides('style')
const [script] = insides('script')
const loading = createLoadingApp(createLogger({ write: () => {} }))

function insides(tag: string): string[] {
  return [...page.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map(([, inside]) => inside)
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

/** Every attribute with the name of its element. */
async function attributesOf(html: string) {
  const all: { tag: string; name: string; value: string }[] = []
  const rewriter = new HTMLRewriter().on('*', {
    element({ tagName: tag, attributes }) {
      for (const [name, value] of attributes) all.push({ tag, name, value })
    },
  })
  await rewriter.transform(new Response(html)).text()
  return all
}

describe('the page', () => {
  test('needs no key, and has none of the server in it', async () => {
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(page).not.toMatch(/sk-secret|1\.2\.3|tales-gla|\/src\/|\/\* styles|\/\* page\.js/)
    const other = await guardedApp().app.request('/', { headers: BROWSER })
    expect(await other.text()).toBe(page)
  })

  test('may use its own style and script, and ask its own server', () => {
    expect([insides('style').length, insides('script').length]).toEqual([1, 1])
    expect(response.headers.get('content-security-policy')!.split('; ')).toEqual([
      "default-src 'none'",
      `style-src ${hashOf(style)}`,
      `script-src ${hashOf(script)}`,
      "connect-src 'self'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ])
  })

  test('refers to nothing elsewhere', async () => {
    const attributes = await attributesOf(page)
    for (const { tag, name, value } of attributes) {
      expect(name).not.toMatch(/^(style|src|srcset|on.*)$/)
      if (name === 'href') expect([tag, value]).toEqual([tag, expect.stringMatching(/^(data:|\/)/)])
    }
    expect(style).not.toMatch(/url\(|@import/)
    expect(script).not.toMatch(/https?:|eval\(|innerHTML/)
  })

  test('has every element that its script looks for, once', async () => {
    const attributes = await attributesOf(page)
    const ids = attributes.filter(({ name }) => name === 'id').map(({ value }) => value)
    expect(new Set(ids).size).toBe(ids.length)
    const wanted = [...script.matchAll(/\b(?:element|input|button|write|set)\("([^"]+)"/g)]
    expect(wanted.length).toBeGreaterThan(30)
    for (const [, id] of wanted) expect(ids).toContain(id)
  })

  test('has a label for every field', async () => {
    const attributes = await attributesOf(page)
    const labelled = attributes.filter(({ name }) => name === 'for').map(({ value }) => value)
    const fields = [...page.matchAll(/<(?:input|textarea) [^>]*>/g)].map(([field]) => field)
    expect(fields.length).toBe(11)
    for (const field of fields.filter((field) => !field.includes('type="radio"'))) {
      expect(labelled).toContain(/\bid="([^"]+)"/.exec(field)![1])
    }
  })

  test('is a short JSON for programs that ask for that', async () => {
    const reply = await app.request('/', { headers: { accept: 'application/json' } })
    expect(reply.headers.get('vary')).toBe('accept')
    expect(await reply.json()).toEqual({
      ...{ name: 'glaze', docs: '/docs', openapi: '/openapi.json', status: '/status' },
    })
  })

  test.each([undefined, '*/*', 'text/html, application/json'])('is HTML for %p', async (accept) => {
    const headers: Record<string, string> = accept === undefined ? {} : { accept }
    const { headers: got } = await app.request('/', { headers })
    expect(got.get('content-type')).toStartWith('text/html')
  })

  test('is at / only', async () => {
    const headers = { ...BROWSER, 'x-api-key': 'sk-secret' }
    expect((await app.request('/index.html', { headers })).status).toBe(404)
    expect((await app.request('/', { method: 'POST', headers })).status).toBe(405)
    expect((await app.request('/', { method: 'HEAD', headers: BROWSER })).status).toBe(200)
  })
})

describe('while the model is loaded', () => {
  test('a page waits for it', async () => {
    const reply = await loading.request('/', { headers: BROWSER })
    expect(reply.status).toBe(503)
    expect(reply.headers.get('refresh')).toBe('2')
    const html = await reply.text()
    expect(html).toContain('is being loaded')
    const [, own] = /<style>(.*)<\/style>/s.exec(html)!
    expect(own).toContain('--paper: light-dark(')
    const policy = reply.headers.get('content-security-policy')!
    expect(policy).toContain(`style-src ${hashOf(own)}`)
    expect(policy).not.toContain('script-src')
    expect(html).not.toContain('<script')
  })

  test('programs get the error that all routes have', async () => {
    const reply = await loading.request('/', { headers: { accept: 'application/json' } })
    expect(reply.status).toBe(503)
    expect(((await reply.json()) as Json).error).toMatchObject({ code: 'loading' })
  })
})

describe('the style', () => {
  const schemes = ['light', 'dark'] as const
  const colors = new Map(
    [...style.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(
      ([, name, light, dark]) => [name, { light, dark }],
    ),
  )

  /** Relative luminance, as WCAG 2 has it. */
  function luminance(color: string): number {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(color.slice(at, at + 2), 16) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }

  test.each([
    ...['ink', 'quiet', 'glaze', 'clay'].flatMap((text) => [
      [text, 'paper', 4.5] as const,
      [text, 'card', 4.5] as const,
    ]),
    ['on-glaze', 'glaze', 4.5] as const,
    ['edge', 'card', 3] as const,
    ['edge', 'paper', 3] as const,
  ])('has %s on %s that can be read', (text, ground, least) => {
    for (const scheme of schemes) {
      const [a, b] = [text, ground].map((name) => luminance(colors.get(name)![scheme]) + 0.05)
      expect(Math.max(a, b) / Math.min(a, b)).toBeGreaterThanOrEqual(least)
    }
  })
})

describe('the script', () => {
  test('keeps to its types', async () => {
    const tsc = join(import.meta.dir, '../../node_modules/typescript/bin/tsc')
    const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.js'))
    const child = Bun.spawn([process.execPath, tsc, '-p', FOLDER, '--listFilesOnly'])
    const listed = await new Response(child.stdout).text()
    for (const file of files) expect(listed).toContain(`page/${file}\n`)
    const check = Bun.spawn([process.execPath, tsc, '-p', FOLDER])
    expect(await new Response(check.stdout).text()).toBe('')
    expect(await check.exited).toBe(0)
  })

  test.each<[number, string]>([
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1024, '1 KiB'],
    [3072, '3 KiB'],
    [196_608, '192 KiB'],
    [165 * 3072, '495 KiB'],
    [1_048_575, '1 MiB'],
    [3_790_848, '3.62 MiB'],
    [16 * 2 ** 20, '16 MiB'],
    [131_072_000_000, '122 GiB'],
    [2 ** 51, '2048 TiB'],
  ])('writes %d bytes as %s', (value, text) => {
    expect(bytes(value)).toBe(text)
  })

  test.each<[string, string]>([
    [count(1_234_567), '1,234,567'],
    [duration(0.4), '0 ms'],
    [duration(999.4), '999 ms'],
    [duration(999.6), '1.0 s'],
    [duration(12_340), '12.3 s'],
    [duration(123_400), '123 s'],
    [rate(7.25), '7.3 tokens/s'],
    [rate(164.6), '165 tokens/s'],
  ])('writes %s', (written, text) => {
    expect(written).toBe(text)
  })
})
