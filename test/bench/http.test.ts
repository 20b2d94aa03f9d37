// `bench http`, run as a user runs it: streams keep the pace of the device that it plays.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { runScript } from '../helpers/command.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

let temp: TempFolder
beforeAll(async () => {
  temp = await TempFolder.create()
})
afterAll(() => temp[Symbol.asyncDispose]())

async function report(...args: string[]) {
  const json = join(temp.path, 'http.json')
  const fixed = ['http', '--tokens', '16', '--rounds', '1', '--json', json]
  const { stderr, code } = await runScript('test/bench/main.ts', [...fixed, ...args])
  if (code !== 0) throw new Error(`bench http ended with ${code}:\n${stderr}`)
  return Bun.file(json).json()
}

test('every stream gets a token a step, and the server is charged for it', async () => {
  const { command, rows } = await report('--batches', '1,3', '--step-ms', '4', '--clients', '2')
  expect(command).toBe('http')
  const places = rows.map(({ route, streams }: Record<string, unknown>) => [route, streams])
  expect(places).toEqual([
    ...[
      ['completions', 1],
      ['completions', 3],
    ],
    ...[
      ['chat', 1],
      ['chat', 3],
    ],
  ])
  for (const row of rows) {
    // Steps last at least as long; how much longer is up to the machine. The first token may be late.
    expect(row.tokenMs).toBeGreaterThan(3)
    expect(row.tokensPerSecond).toBeLessThan((row.streams * 1000) / 3)
    expect(row.serverUs).toBeGreaterThan(0)
    expect(row.serverLoad).toBeGreaterThan(0)
    expect(row).not.toHaveProperty('lateMs')
  }
})

test('a busy look-out tells how late ends are seen, and no CPU times', async () => {
  const { rows } = await report('--batches', '2', '--step-ms', '2', '--poll')
  expect(rows).toHaveLength(2)
  for (const row of rows) {
    expect(row.lateMs).toBeGreaterThanOrEqual(0)
    expect(row).not.toHaveProperty('serverUs')
  }
})

test('a step takes a time that can be waited for', async () => {
  const { code, stderr } = await runScript('test/bench/main.ts', ['http', '--step-ms', '-1'])
  expect(code).toBe(1)
  expect(stderr).toStartWith('bench: ')
  expect(stderr.trim().split('\n')).toHaveLength(1)
})
