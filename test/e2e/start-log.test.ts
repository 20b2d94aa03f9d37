// What the log says of a start: the options that were given, without secrets, and what runs where.

import { expect, test } from 'bun:test'
import { startServer } from '../helpers/server.ts'

test('a start is one line with the options that were given', async () => {
  const env = { GLAZE_API_KEY: 'sk-secret', GLAZE_LOG_FORMAT: 'json' }
  await using server = await startServer(['--max-num-seqs', '2'], env)
  const lines = server.output().split('\n')
  const line = lines.find((text) => text.startsWith('{') && text.includes('"serving"'))
  expect(JSON.parse(line ?? 'null')).toMatchObject({
    ...{ level: 'info', model: 'tales-gla-5m', model_type: 'gla', slots: 2, slot_bytes: 196608 },
    options: { 'max-num-seqs': '2', 'api-key': '***', 'log-format': 'json', host: '127.0.0.1' },
  })
  expect(server.output()).not.toContain('sk-secret')
}, 30_000)
