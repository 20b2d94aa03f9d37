// The page at / in a real browser, against the real server.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { createLoadingApp } from '../../src/http/app.ts'
import { serveApp } from '../../src/http/serve.ts'
import { createLogger } from '../../src/log.ts'
import { hasBrowser, openBrowser } from '../helpers/browser.ts'
import { CHAT_TEMPLATE } from '../helpers/chat-server.ts'
import { openPage } from '../helpers/page.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { type Json, testApp } from '../http/test-app.ts'

const KEY = 'sk-page'
const TIMEOUT = 60_000
const DESKTOP = { viewport: { width: 1200, height: 800 } }
const PHONE = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true }

let server: ServerProcess
let browser: Browser

const ask = async (path: string, body?: object): Promise<Json> => {
  const response = await fetch(`${server.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return response.json()
}

/** Resolves once all slots are free. */
async function slotsFree(): Promise<void> {
  while ((await ask('/status')).slots_used > 0);
}

async function set(page: Page, fields: Record<string, string | number>): Promise<void> {
  for (const [id, value] of Object.entries(fields)) {
    await page.locator(`#${id}`).fill(String(value))
  }
}

/** Runs what the form says and returns the body that it sends. */
async function run(page: Page): Promise<Json> {
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.method() === 'POST'),
    page.locator('#prompt').press('Control+Enter'),
  ])
  return request.postDataJSON()
}

describe.skipIf(!hasBrowser())('the page in Chromium (skipped if there is none)', () => {
  beforeAll(async () => {
    const args = ['--chat-template', CHAT_TEMPLATE, '--api-key', KEY, '--max-num-seqs', '2']
    ;[server, browser] = await Promise.all([startServer(args), openBrowser()])
  }, TIMEOUT)

  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  }, TIMEOUT)

  const open = (options: Parameters<typeof openPage>[3] = DESKTOP) =>
    openPage(browser, server.url, KEY, options)

  test(
    'streams a text, with its figures and no request elsewhere',
    async () => {
      await using opened = await open({ ...DESKTOP, colorScheme: 'light' })
      const { page } = opened
      await page.getByText('slots in use').waitFor()
      expect(await page.title()).toBe('tales-gla-5m · glaze')
      expect(await page.locator('#load-text').textContent()).toBe('0 of 2 slots in use')
      await opened.screenshot('page-light-start')
      await page.getByRole('button', { name: 'Once upon a time' }).click()
      await set(page, { temperature: 0, max_tokens: 90 })
      await run(page)
      await opened.writes(20)
      await opened.screenshot('page-light-streaming')
      const text = await opened.ends()
      // Far more often than twice before the end.
      const lengths = await opened.lengths()
      expect(lengths.length).toBeGreaterThan(10)
      expect(lengths[0]).toBeLessThan(text.length / 4)

      const asked = { prompt: 'Once upon a time', temperature: 0, max_tokens: 90 }
      expect(text).toBe((await ask('/v1/completions', asked)).choices[0].text)
      const textOf = (id: string) => page.locator(`#${id}`).textContent()
      expect(await textOf('phase')).toBe('Ended at max tokens')
      expect(await textOf('first-token')).toMatch(/^[\d.]+ m?s$/)
      expect(await textOf('speed')).toMatch(/^[1-9][\d.]* tokens\/s$/)
      expect(await textOf('prompt-tokens')).toBe('5 tokens')
      expect(await textOf('new-tokens')).toBe('90 tokens')
      // 6 layers of two states of 64 x 64 floats; 6 layers of keys and values of 2 x 64 halves.
      expect(await textOf('state-size')).toBe('192 KiB')
      expect(await textOf('tokens')).toBe('95')
      expect(await textOf('softmax-now')).toBe('285 KiB')
      await opened.screenshot('page-light-end')

      await run(page)
      expect(await opened.ends()).toBe(text)
      expect(await textOf('prompt-tokens')).toBe('5 tokens, 5 cached')
      expect([opened.problems, opened.foreign]).toEqual([[], []])
    },
    TIMEOUT,
  )

  test.each(['Escape', 'the button'])(
    '%s stops it, and frees the slot',
    async (way) => {
      await using opened = await open()
      const { page } = opened
      // Greedily, it never ends by itself.
      await set(page, { prompt: 'The old king', temperature: 0, max_tokens: 100_000 })
      await run(page)
      await opened.writes(50)
      await page.getByText('1 of 2 slots in use').waitFor()
      if (way === 'Escape') await page.keyboard.press('Escape')
      else await page.getByRole('button', { name: 'Stop' }).click()
      const text = await opened.ends()
      expect(await page.locator('#phase').textContent()).toBe('Stopped')
      await slotsFree()
      await page.getByText('0 of 2 slots in use').waitFor()
      expect(await opened.ends()).toBe(text)
      expect(opened.problems).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'sends the settings, at first those of the server',
    async () => {
      await using opened = await open()
      const { page } = opened
      await page.getByText('slots in use').waitFor()
      await set(page, { prompt: 'Once', max_tokens: 12 })
      const always = {
        stream: true,
        stream_options: { include_usage: true, continuous_usage_stats: true },
      }
      const defaults = { temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0, repetition_penalty: 1 }
      expect(await run(page)).toEqual({ prompt: 'Once', max_tokens: 12, ...defaults, ...always })
      await opened.ends()
      const changed = {
        ...{ temperature: 1.2, top_p: 0.95, top_k: 40, min_p: 0.02, repetition_penalty: 1.1 },
        ...{ max_tokens: 20, seed: 7 },
      }
      await set(page, changed)
      expect(await run(page)).toEqual({ prompt: 'Once', ...changed, ...always })
      const text = await opened.ends()
      const reply = await ask('/v1/completions', { prompt: 'Once', ...changed })
      expect(text).toBe(reply.choices[0].text)

      await page.getByRole('button', { name: "Server's defaults" }).click()
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.keyboard.press('Escape')
      await opened.ends()
      expect(await page.locator('#prompt').inputValue()).toBe(`Once${text}`)
      expect(await page.locator('#temperature').inputValue()).toBe('0.8')
      expect(opened.problems).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'shows what is wrong: its own bounds, and the words of the server',
    async () => {
      await using opened = await open()
      const { page } = opened
      await set(page, { prompt: 'Once', max_tokens: 4, temperature: 3 })
      await page.locator('#prompt').press('Control+Enter')
      expect(await page.locator('#temperature:focus').count()).toBe(1)
      await set(page, { temperature: 1, top_p: 0 })
      await run(page)
      await page.getByRole('alert').waitFor()
      const { error } = await ask('/v1/completions', { prompt: 'Once', top_p: 0 })
      expect(await page.getByRole('alert').textContent()).toBe(error.message)
      expect(await page.locator('#phase').textContent()).toBe('Failed')
      await set(page, { top_p: 1 })
      await run(page)
      await opened.ends()
      expect(await page.getByRole('alert').count()).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'holds a conversation',
    async () => {
      await using opened = await open({ ...DESKTOP, colorScheme: 'dark' })
      const { page } = opened
      await page.getByLabel('Chat').check()
      await page.getByRole('button', { name: 'Tell me a tale of a fox and a crow.' }).click()
      await set(page, { max_tokens: 30, seed: 1 })
      const question = { role: 'user', content: 'Tell me a tale of a fox and a crow.' }
      expect((await run(page)).messages).toEqual([question])
      const content = await opened.ends()
      await page.getByLabel('Your message').fill('Go on')
      expect((await run(page)).messages).toEqual([
        question,
        { role: 'assistant', content },
        { role: 'user', content: 'Go on' },
      ])
      await opened.ends()
      expect(await page.locator('.turn').count()).toBe(4)
      await opened.screenshot('page-dark-chat')
      await page.getByRole('button', { name: 'New chat' }).click()
      expect(await page.locator('.turn').count()).toBe(0)
      expect(opened.problems).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'asks for the key where one is needed',
    async () => {
      await using opened = await openPage(browser, server.url, undefined, DESKTOP)
      const { page } = opened
      const key = page.getByLabel('API key')
      const give = async (text: string) => {
        await key.fill(text)
        await key.press('Enter')
      }
      await page.getByText('no API key was sent').waitFor()
      await opened.screenshot('page-key')
      await give('sk-wrong')
      await page.getByText('the API key is not valid').waitFor()
      await give(KEY)
      await page.getByText('slots in use').waitFor()
      expect(await key.isVisible()).toBe(false)
      await page.reload()
      await page.getByText('slots in use').waitFor()
      await set(page, { prompt: 'Once', max_tokens: 4 })
      await run(page)
      expect(await opened.ends()).not.toBe('')
      expect(new Set(opened.problems)).toEqual(
        new Set([expect.stringContaining('status of 401 (Unauthorized)')]),
      )
      expect(opened.foreign).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'waits for the model, and is there when the model is',
    async () => {
      let app = createLoadingApp(createLogger({ write: () => {} }))
      await using loading = serveApp(
        { fetch: (...request) => app.fetch(...request) },
        { host: '127.0.0.1', port: 0 },
      )
      await using opened = await openPage(browser, loading.url, undefined, DESKTOP)
      await opened.page.getByText('The model is being loaded').waitFor()
      await opened.screenshot('page-waiting')
      app = testApp().app
      await opened.page.getByText('0 of 4 slots in use').waitFor()
      expect(opened.foreign).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'fits a phone',
    async () => {
      await using opened = await open({ ...PHONE, deviceScaleFactor: 2, colorScheme: 'dark' })
      const { page } = opened
      await page.getByText('slots in use').waitFor()
      await set(page, { prompt: `Once upon ${'a'.repeat(60)}` })
      await page.locator('#settings summary').tap()
      await set(page, { max_tokens: 60, seed: 1 })
      await page.getByRole('button', { name: 'Run' }).tap()
      await opened.writes(100)
      await opened.screenshot('page-phone-streaming')
      await opened.ends()
      await opened.screenshot('page-phone-end')
      const widest = await page
        .locator('body *')
        .evaluateAll((all: Json[]) =>
          Math.max(...all.map((element) => element.getBoundingClientRect().right)),
        )
      expect(widest).toBeLessThanOrEqual(320)
      expect(opened.problems).toEqual([])
    },
    TIMEOUT,
  )
})
