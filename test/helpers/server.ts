// The real server as a child process: what a user starts, on a free port.

import { join } from 'node:path'

const PROJECT = join(import.meta.dir, '..', '..')
/** The first complete URL in what the server prints. */
const URL_LINE = /http:\/\/127\.0\.0\.1:[1-9]\d*(?=\D)/
/** Milliseconds that a server gets to leave after SIGTERM. */
const PATIENCE = 10_000

export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  /** Everything printed so far, stdout and stderr. */
  readonly output: () => string
  readonly process: Bun.Subprocess
}

/**
 * Runs `glaze serve` on 127.0.0.1, a free port and the adapter of the kernel tests; resolves once
 * it prints its URL. Rejects with the output if it ends before. No GLAZE_ variable of the caller
 * gets through but those in `env`.
 */
export async function startServer(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<ServerProcess> {
  const adapter = process.env.GLAZE_TEST_ADAPTER || 'auto'
  const fixed = ['--host', '127.0.0.1', '--port', '0', '--adapter', adapter]
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GLAZE_'))
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'serve', ...fixed, ...args], {
    cwd: PROJECT,
    env: { ...Object.fromEntries(inherited), ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let output = ''
  const found = Promise.withResolvers<string>()
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const bytes of stream) {
      output += decoder.decode(bytes, { stream: true })
      const url = URL_LINE.exec(output)
      if (url !== null) found.resolve(url[0])
    }
  }
  const ended = Promise.all([read(child.stdout), read(child.stderr), child.exited])
  const early = ended.then(([, , code]) => {
    throw new Error(`the server ended with code ${code} before it printed its URL:\n${output}`)
  })
  const url = await Promise.race([found.promise, early])
  early.catch(() => {})
  return {
    url,
    output: () => output,
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const deadline = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
      await ended
      clearTimeout(deadline)
    },
  }
}
