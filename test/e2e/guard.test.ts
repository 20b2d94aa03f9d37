// API keys and allowed origins of the real server, from the command line to the socket.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import OpenAI, { AuthenticationError } from 'openai'
import { runGlaze } from '../helpers/command.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const PAGE = 'https://app.example'
const TIMEOUT = 60_000

let folder: TempFolder
let server: ServerProcess

beforeAll(async () => {
  folder = await TempFolder.create()
  const file = join(folder.path, 'keys')
  await Bun.write(file, '# tests\nsk-from-file\n')
  server = await startServer(
    ['--max-num-seqs', '1', '--api-key-file', file, '--allow-origin', PAGE, '--log-level', 'debug'],
    { GLAZE_API_KEY: 'sk-from-variable' },
  )
}, TIMEOUT)

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await folder?.[Symbol.asyncDispose]()
}, TIMEOUT)

const client = (apiKey: string) =>
  new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 })

describe('a guarded server', () => {
  test.each(['sk-from-file', 'sk-from-variable'])('lets %s pass', async (key) => {
    expect((await client(key).models.list()).data.length).toBe(1)
  })

  test("is told apart from others by OpenAI's client", async () => {
    const error = await client('sk-wrong')
      .models.list()
      .catch((error) => error)
    expect(error).toBeInstanceOf(AuthenticationError)
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' })
    expect(error.requestID).toBeTruthy()
  })

  test('refuses a large body without a key', async () => {
    const body = 'x'.repeat(8 * 2 ** 20)
    const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', body })
    expect(response.status).toBe(401)
  })

  test('answers probes and preflights without a key', async () => {
    for (const path of ['/health', '/ready']) {
      expect((await fetch(`${server.url}${path}`)).status).toBe(200)
    }
    const preflight = await fetch(`${server.url}/v1/completions`, {
      method: 'OPTIONS',
      headers: { origin: PAGE, 'access-control-request-method': 'POST' },
    })
    expect(preflight.headers.get('access-control-allow-origin')).toBe(PAGE)
  })

  test('shows how to send a key and prints none', () => {
    expect(server.output()).toContain('authorization: Bearer KEY')
    expect(server.output()).toContain('"status":401')
    expect(server.output()).not.toContain('sk-')
  })
})

test.each<[string[], Record<string, string>, string]>([
  [['--api-key-file', '/no/such/file'], {}, '--api-key-file /no/such/file cannot be read'],
  [[], { GLAZE_API_KEY: '' }, 'GLAZE_API_KEY is empty; unset it to run without keys'],
])(
  'a server that was meant to be guarded does not start without keys: %j with %j',
  async (args, env, message) => {
    const { stderr, code } = await runGlaze(['--port', '0', ...args], env)
    expect(stderr).toContain(`glaze: ${message}`)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(code).toBe(1)
  },
  TIMEOUT,
)

// The port is taken and the warning printed before the model is looked for.
test.each<[string[], boolean]>([
  [['--host', '0.0.0.0'], true],
  [['--host', '::'], true],
  [['--host', 'localhost'], false],
  [['--host', '127.0.0.1'], false],
  [['--host', '0.0.0.0', '--api-key', 'k'], false],
])(
  'an open door is worth a warning: %j %p',
  async (args, warns) => {
    const { stderr } = await runGlaze([...args, '--port', '0', '--model', '/no/such/folder'])
    expect(stderr).toContain('/no/such/folder')
    expect(stderr.includes('whoever reaches this address may use the server')).toBe(warns)
  },
  TIMEOUT,
)
