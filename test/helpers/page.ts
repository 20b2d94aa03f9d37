// The page of a server in a browser, and all that goes wrong or elsewhere while it is open.

import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

/** Screenshots are kept here, for people to look at. */
const ARTIFACTS = join(import.meta.dir, '../artifacts')

export interface OpenPage extends AsyncDisposable {
  page: Page
  /** Errors and warnings of the console, and what was thrown. */
  problems: string[]
  /** Addresses outside the server that were asked for. */
  foreign: string[]
  /** Resolves once the text is longer than this. */
  writes(characters: number): Promise<void>
  /** Lengths that the text had while it was written. */
  lengths(): Promise<number[]>
  /** Resolves to the whole text once nothing is written any more. */
  ends(): Promise<string>
  screenshot(name: string): Promise<void>
}

/** Notes each length that the text has while it is written. */
const WATCH = `
globalThis.lengths = []
new MutationObserver(() => {
  const text = document.querySelector('#output[aria-busy=true] .written')?.textContent ?? ''
  if (text.length > (lengths.at(-1) ?? 0)) lengths.push(text.length)
}).observe(document, { subtree: true, childList: true })
`

/** @param key kept by the tab from the start; undefined: none */
export async function openPage(
  browser: Browser,
  url: string,
  key: string | undefined,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext(options)
  await context.addInitScript({ content: WATCH })
  if (key !== undefined) {
    await context.addInitScript({ content: `sessionStorage.setItem('glaze-api-key', '${key}')` })
  }
  const page = await context.newPage()
  const problems: string[] = []
  const foreign: string[] = []
  page.on('pageerror', (error) => void problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
  })
  page.on('request', (request) => {
    const address = request.url()
    if (!address.startsWith(`${url}/`) && !address.startsWith('data:')) foreign.push(address)
  })
  await page.goto(url)
  const written = page.locator('.written').last()
  return {
    page,
    problems,
    foreign,
    async writes(characters) {
      await written.filter({ hasText: new RegExp(`.{${characters + 1}}`, 's') }).waitFor()
    },
    lengths: () => page.evaluate(() => (globalThis as unknown as { lengths: number[] }).lengths),
    async ends() {
      await page.locator('#output[aria-busy=false]').waitFor()
      return (await written.textContent()) ?? ''
    },
    screenshot: async (name) => {
      await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage: true })
    },
    [Symbol.asyncDispose]: () => context.close(),
  }
}
