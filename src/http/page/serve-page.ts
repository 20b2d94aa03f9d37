// GET /: the page to try the model with, put together from its files, and the one that waits for it.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Context } from 'hono'
import type { AppEnv } from '../context.ts'
import { RETRY_AFTER } from '../errors.ts'

const file = (name: string) => join(import.meta.dir, name)

/** The page as it is sent, and what it may do. */
interface Page {
  html: string
  policy: string
}

/**
 * The page at `/`, the same for everyone: what it shows of the server it asks for by /status, with the
 * API key that it is given. Programs that want JSON are told where to look.
 */
export function servePage(): (c: Context<AppEnv>) => Promise<Response> {
  let made: Promise<Page> | undefined
  return async (c) => {
    if (!wantsPage(c)) {
      const links = { docs: '/docs', openapi: '/openapi.json', status: '/status' }
      return Response.json({ name: 'glaze', ...links }, { headers: { vary: 'accept' } })
    }
    made ??= buildPage()
    const { html, policy } = await made
    return new Response(html, { headers: pageHeaders(policy) })
  }
}

/** Shown while the model is loaded, with status 503; asks again until the page is there. */
export async function waitingPage(): Promise<Response> {
  const style = await Bun.file(file('base.css')).text()
  const html = (await Bun.file(file('waiting.html')).text()).replace('/* styles */', () => style)
  const headers = pageHeaders(policyFor(style))
  headers.set('refresh', String(RETRY_AFTER))
  headers.set('retry-after', String(RETRY_AFTER))
  return new Response(html, { status: 503, headers })
}

/** Whether a reader asks, and no program; `*` is a reader, as browsers of text send it. */
export function wantsPage(c: Context<AppEnv>): boolean {
  const accept = c.req.header('accept') ?? '*/*'
  return accept.includes('text/html') || !accept.includes('application/json')
}

/** One file without references to others: style and script stand in it, and are known by their hashes. */
async function buildPage(): Promise<Page> {
  const [page, style, script] = await Promise.all([
    Bun.file(file('page.html')).text(),
    readStyle(),
    bundleScript(),
  ])
  const html = page.replace('/* styles */', () => style).replace('/* page.js */', () => script)
  return { html, policy: policyFor(style, script) }
}

async function readStyle(): Promise<string> {
  const styles = ['base.css', 'page.css'].map((name) => Bun.file(file(name)).text())
  return (await Promise.all(styles)).join('\n')
}

/** The modules of the script as one text. */
async function bundleScript(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [file('page.js')],
    target: 'browser',
    format: 'iife',
    // Names stay readable; comments, which name files by where the server runs, do not.
    minify: { whitespace: true, syntax: true },
  })
  return outputs[0].text()
}

/** Lets a page have its own style and script, ask this server, and nothing else. */
function policyFor(style: string, script?: string): string {
  return [
    "default-src 'none'",
    `style-src ${hash(style)}`,
    ...(script === undefined ? [] : [`script-src ${hash(script)}`, "connect-src 'self'"]),
    // The icon.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

function pageHeaders(policy: string): Headers {
  return new Headers({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
    'referrer-policy': 'no-referrer',
    // A newer server has a newer page.
    'cache-control': 'no-cache',
    vary: 'accept',
  })
}
