// An app with guards over a fake engine whose generations the test drives.

import { type AppOptions, createApp, type GuardOptions } from '../../src/http/app.ts'
import { createLogger } from '../../src/log.ts'
import { FakeEngine, fakeTokenizer } from '../helpers/fake-engine.ts'
import { FakeGrammars, type Json } from './test-app.ts'

export type GuardedAppOptions = GuardOptions & Pick<AppOptions, 'drain'>

/** Logs all it can, so that tests see what must not be there. */
export function guardedApp(options: GuardedAppOptions = {}) {
  const engine = new FakeEngine()
  const grammars = new FakeGrammars()
  const lines: Json[] = []
  const app = createApp({
    ...{ engine, tokenizer: fakeTokenizer, grammars, version: '1.2.3' },
    model: { ids: ['tales'], created: 1_700_000_000 },
    log: createLogger({
      ...{ level: 'debug', format: 'json' },
      write: (line) => void lines.push(JSON.parse(line)),
    }),
    ...options,
  })
  const complete = (body: object = {}, headers: Record<string, string> = {}) =>
    app.request('/v1/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ prompt: 'Once upon', ...body }),
    })
  return { app, engine, grammars, lines, complete }
}
