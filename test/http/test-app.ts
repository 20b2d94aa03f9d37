// An app over a fake engine, and what tests ask of it.

import type { GrammarSpec, Grammars } from '../../src/grammar/guide.ts'
import { createApp } from '../../src/http/app.ts'
import type {
  ChatTemplate,
  HttpLimits,
  PromptTokenizer,
  ServedModel,
} from '../../src/http/context.ts'
import { createLogger, type LogLevel } from '../../src/log.ts'
import { FAKE_WORDS, FakeEngine, fakeTokenizer } from '../helpers/fake-engine.ts'

export interface TestAppOptions {
  /** Words of every completion; `manual` leaves the generations to the test. */
  words?: readonly string[] | 'manual'
  limits?: Partial<HttpLimits>
  model?: Partial<ServedModel>
  tokenizer?: Partial<PromptTokenizer>
  chatTemplate?: ChatTemplate
  logLevel?: LogLevel
}

/** A JSON value of unknown shape; a wrong guess fails the test that makes it. */
// biome-ignore lint/suspicious/noExplicitAny: replies are what the tests are about
export type Json = any

export function testApp(options: TestAppOptions = {}) {
  const { words = FAKE_WORDS } = options
  const engine = new FakeEngine({ words: words === 'manual' ? undefined : words })
  const grammars = new FakeGrammars()
  const lines: Json[] = []
  const app = createApp({
    engine,
    tokenizer: { ...fakeTokenizer, ...options.tokenizer },
    grammars,
    chatTemplate: options.chatTemplate,
    model: { ids: ['tales', 'alias'], created: 1_700_000_000, ...options.model },
    limits: options.limits,
    log: createLogger({
      level: options.logLevel ?? 'info',
      format: 'json',
      write: (line) => void lines.push(JSON.parse(line)),
    }),
    version: '1.2.3',
  })
  /** POSTs a request: an object as JSON, anything else as it is. */
  const post = async (body: unknown, init: RequestInit = {}, path = '/v1/completions') =>
    app.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: isBytesOrText(body) ? body : JSON.stringify(body),
      ...init,
    })
  return { app, engine, grammars, lines, post }
}

/** Takes every specification and notes it; its guides must not be used. */
export class FakeGrammars implements Grammars {
  readonly compiled: { spec: GrammarSpec; param: string }[] = []
  /** What compiling waits for. */
  delay: Promise<void> | undefined
  /** Throws instead of compiling. */
  refuse: (spec: GrammarSpec, param: string) => void = () => {}

  async compile(spec: GrammarSpec, param: string) {
    this.refuse(spec, param)
    this.compiled.push({ spec, param })
    await this.delay
    return () => {
      throw new Error('the fake engine needs no guide')
    }
  }
}

function isBytesOrText(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array
}

/** Splits a stream into its frames: comments stay text, `data:` lines become JSON or `[DONE]`. */
export function parseFrames(stream: string): Json[] {
  return stream
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => {
      if (!frame.startsWith('data: ') || frame === 'data: [DONE]') return frame
      return JSON.parse(frame.slice('data: '.length))
    })
}

/** The data frames of a whole stream, without comments. */
export async function readEvents(response: Response): Promise<Json[]> {
  const frames = parseFrames(await response.text())
  return frames.filter((frame) => typeof frame !== 'string' || !frame.startsWith(':'))
}
