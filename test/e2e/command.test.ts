// The command itself: what it prints, how it ends.
import { describe, expect, test } from 'bun:test'
import { version } from '../../package.json'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { runGlaze } from '../helpers/command.ts'
import { startServer } from '../helpers/server.ts'

/** Every reply must be what the API says. */
const checkedFetch = checkingFetch()

const TIMEOUT = 60_000

describe('glaze', () => {
  test('--version and --help', async () => {
    expect(await runGlaze(['--version'])).toEqual({ stdout: `${version}\n`, stderr: '', code: 0 })
    const help = await runGlaze(['--help'])
    expect(help.stdout).toContain('--max-num-seqs')
    expect(help.code).toBe(0)
  })

  test.each([
    [['--prot', '1'], {}, 'unknown flag --prot; did you mean --port?'],
    [[], { GLAZE_PROT: '1' }, 'unknown environment variable GLAZE_PROT; did you mean GLAZE_PORT?'],
    [['--port', 'x'], {}, '--port is "x": expected a whole number from 0 to 65535'],
    [['/no/such/folder'], {}, '/no/such/folder: there is no such folder'],
    [['--adapter', 'nonesuch'], {}, 'no adapter matches --adapter nonesuch; found: '],
    [['--max-num-seqs', '60000'], {}, '--max-num-seqs: 60000 slots of 196608 bytes need'],
  ])(
    '%p %p is one line and exit code 1',
    async (args, env, message) => {
      const { stdout, stderr, code } = await runGlaze(['serve', '--port', '0', ...args], env)
      expect(stderr).toContain(message)
      expect(stderr.trimEnd().split('\n')).toHaveLength(1)
      expect(stdout).toBe('')
      expect(code).toBe(1)
    },
    TIMEOUT,
  )
})

describe('glaze serve', () => {
  test(
    'prints what runs where, and how to try it',
    async () => {
      await using server = await startServer(['--max-num-seqs', '3'])
      const output = server.output()
      expect(output).toMatch(/^model {4}tales-gla-5m \(gla, 6 layers\)/m)
      expect(output).toMatch(
        /^adapter {2}\S.*batch-invariant (plain|subgroup) kernels, float(16|32) weights$/m,
      )
      expect(output).toMatch(
        /^memory {3}weights [\d.]+ MiB, working memory .*, 3 slots of 192 KiB$/m,
      )
      expect(output).toMatch(/^prefixes \d+ states of 208 KiB are kept for reuse/m)
      expect(output).toMatch(/^start {4}[\d.]+ s, of them [\d.]+ s warm-up$/m)
      expect(output).toMatch(/curl http:\/\/127\.0\.0\.1:\d+\/v1\/completions/)
    },
    TIMEOUT,
  )

  test(
    'a port that is taken',
    async () => {
      await using server = await startServer(['--max-num-seqs', '1'])
      const { port } = new URL(server.url)
      const { stderr, code } = await runGlaze(['serve', '--port', port])
      expect(stderr).toContain(`--port ${port}`)
      expect(code).toBe(1)
    },
    TIMEOUT,
  )

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s lets a running stream finish, exit code 0',
    async (signal) => {
      await using server = await startServer(['--max-num-seqs', '2'])
      const response = await checkedFetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt: 'Once', max_tokens: 40, stream: true, ignore_eos: true }),
      })
      const reader = response.body!.getReader()
      await reader.read()
      // Twice, as when a package runner passes on what the terminal has already sent.
      server.process.kill(signal)
      server.process.kill(signal)
      let text = ''
      const decoder = new TextDecoder()
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += decoder.decode(part.value, { stream: true })
      }
      expect(text).toEndWith('data: [DONE]\n\n')
      expect(text).toContain('"finish_reason":"length"')
      expect(await server.process.exited).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'a later second signal cuts what still runs',
    async () => {
      await using server = await startServer(['--max-num-seqs', '2'])
      const response = await checkedFetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt: 'Once', max_tokens: 1e6, stream: true, ignore_eos: true }),
      })
      // One wish until it is old enough, then a second one.
      const again = setInterval(() => server.process.kill('SIGTERM'), 20)
      const events = (await response.text()).trimEnd().split('\n\n')
      expect(JSON.parse(events.at(-1)!.slice('data: '.length))).toMatchObject({
        error: { type: 'unavailable_error', code: 'request_aborted' },
      })
      expect(events.length).toBeGreaterThan(1)
      expect(await server.process.exited).toBe(0)
      clearInterval(again)
      expect(server.output()).toContain('SIGTERM again: cutting what still runs')
    },
    TIMEOUT,
  )
})
