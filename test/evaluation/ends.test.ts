// How `glaze eval` ends that does not come to its end, and what reaches it and others by pipes.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { writeTinyModel } from '../bench/tiny.ts'
import { shipped } from '../helpers/model.ts'
import { isIgnored } from '../helpers/signals.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const MAIN = join(import.meta.dir, '../../src/main.ts')
const MODEL = join(shipped, 'tales-gla-5m')
const CHOICES = join(shipped, 'choices.jsonl')
/** Minutes, which no test waits for. */
const LONG = ['--text', join(shipped, 'heldout.txt'), '--window', '64']
const COMMAND = [process.execPath, MAIN, 'eval', '--adapter', ADAPTER]

let temp: TempFolder
let tiny: string

beforeAll(async () => {
  temp = await TempFolder.create()
  tiny = join(temp.path, 'tiny')
  await writeTinyModel(tiny)
})
afterAll(() => temp[Symbol.asyncDispose]())

function start(args: readonly string[]) {
  const child = Bun.spawn([...COMMAND, ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  return { child, stdout: child.stdout.pipeThrough(new TextDecoderStream()).getReader() }
}

/** Reads until a text is there. */
async function readUntil(
  reader: { read(): Promise<{ value?: string; done: boolean }> },
  wanted: string,
): Promise<string> {
  let text = ''
  while (!text.includes(wanted)) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`ended without ${wanted}: ${text}`)
    text += value
  }
  return text
}

describe('a signal', () => {
  test('keeps the rows and samples that are there', async () => {
    const [json, samples] = ['r.json', 's.jsonl'].map((name) => join(temp.path, name))
    const { child, stdout } = start([
      ...[tiny, MODEL, '--dataset', CHOICES, '--limit', '20'],
      ...['--json', json, '--log-samples', samples],
    ])
    await readUntil(stdout, '\ntiny ')
    child.kill('SIGINT')
    expect(await child.exited).toBe(130)
    const { rows } = await Bun.file(json).json()
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ model: 'tiny', items: 20 })
    const lines = (await Bun.file(samples).text()).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).line)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
    expect(await new Response(child.stderr).text()).not.toContain('glaze:')
  }, 120_000)

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    '%s ends with %d',
    async (signal, code) => {
      if (isIgnored(signal)) return
      const { child, stdout } = start([MODEL, ...LONG])
      await readUntil(stdout, 'perplexity of')
      child.kill(signal)
      expect(await child.exited).toBe(code)
    },
    120_000,
  )

  test('SIGHUP does nothing under nohup', async () => {
    const text = ['--tokens', '65', '--window', '64']
    const script = 'trap "" HUP; exec "$@"'
    const child = Bun.spawn(['sh', '-c', script, 'sh', ...COMMAND, MODEL, ...text], {
      ...({ stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' } as const),
    })
    const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
    await readUntil(stdout, 'perplexity of')
    child.kill('SIGHUP')
    await readUntil(stdout, '\ntales-gla-5m ')
    expect(await child.exited).toBe(0)
  }, 120_000)

  test('Ctrl-C on a terminal leaves no half of a line', async () => {
    let output = ''
    const shown = Promise.withResolvers<void>()
    const child = Bun.spawn([...COMMAND, MODEL, ...LONG], {
      terminal: {
        ...{ cols: 50, rows: 10 },
        data: (_terminal, bytes) => {
          output += new TextDecoder().decode(bytes)
          if (/tokens, [\d.]+\/s/.test(output)) shown.resolve()
        },
      },
    })
    await shown.promise
    child.terminal!.write('\x03')
    expect(await child.exited).toBe(130)
    expect(output).toEndWith('\r\x1b[K')
    const lines = output.split('\r\x1b[K').filter((line) => /tokens, [\d.]+\/s/.test(line))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(line.replace('^C', '').length).toBeLessThan(50)
  }, 120_000)
})

test('nobody reads stdout any more: nothing is measured', async () => {
  const { child, stdout } = start([MODEL, ...LONG])
  await readUntil(stdout, 'perplexity of')
  await stdout.cancel()
  expect(await child.exited).toBe(141)
  expect(await new Response(child.stderr).text()).toBe('')
}, 120_000)

test('a dataset from a pipe, samples to a pipe, without a delimiter', async () => {
  const args = [MODEL, '--dataset', '/dev/stdin', '--log-samples', '-', '--delimiter', '']
  const child = Bun.spawn(['sh', '-c', 'printf %s "$0" | "$@" | cat', ITEMS, ...COMMAND, ...args], {
    ...({ stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' } as const),
  })
  const [stdout, stderr] = await Promise.all(
    [child.stdout, child.stderr].map((stream) => new Response(stream).text()),
  )
  const samples = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(samples).toMatchObject([
    // Two words of a token each; with a delimiter they would be others.
    { line: 2, query: 'Once', choices: [' upon', ' king'], right: true, tokens: [1, 1] },
    { line: 3, query: 'Once upon', choices: [' a', ' the'], gold: 0, tokens: [1, 1] },
  ])
  expect(stderr).toContain('2 items of /dev/stdin, ranked by log-likelihood')
  expect(stderr).toMatch(/^tales-gla-5m /m)
}, 120_000)

const ITEMS = `
{"query": "Once", "choices": [" upon", " king"], "gold": 0}
{"question": "Once upon", "choices": {"text": [" a", " the"], "label": ["1", "2"]}, "answerKey": "1"}`
