// `glaze convert` as a command: what it prints, how it ends, and what other commands say of its work.
import { afterAll, describe, expect, test } from 'bun:test'
import { cp, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { parseModelConfig } from '../models/config.ts'
import { tensorShapes } from '../models/tensor-shapes.ts'
import { elementCount } from '../src/loader/tensor-source.ts'
import { bar } from '../src/serve/progress.ts'
import { LLAMA, writeLlama } from './conversion/sources.ts'
import { writeJson, writeRawSafetensors } from './helpers/checkpoints.ts'
import { runGlaze } from './helpers/command.ts'
import { COMMIT, FakeHub } from './helpers/fake-hub.ts'
import { shipped } from './helpers/model.ts'
import { nameFor } from './helpers/random-model.ts'
import { isIgnored } from './helpers/signals.ts'
import { TempFolder } from './helpers/temp-folder.ts'

const MISTRAL = join(shipped, 'tales-mistral-5m')
const MAIN = join(import.meta.dir, '../src/main.ts')
const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const WARNING = 'this model was converted and not finetuned, it writes noise'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())
const converted = join(temp.path, 'tales gla')

test('converts, and says what comes next', async () => {
  const { stdout, stderr, code } = await runGlaze(['convert', MISTRAL, converted, '--to', 'gla'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\S.*: 10\.5 MiB in \d+\.\d s; 56 tensors copied, 24 new, 0 left out\n/)
  expect(stdout).toContain('this model writes noise until it is finetuned')
  expect(stdout).toContain(`python -m flame.utils.convert_hf_to_dcp --model '${converted}'`)
  expect(stdout).toContain(`--config '${converted}/config.json' --tokenizer '${converted}'\n`)
  expect(stdout).toContain(`glaze eval ${MISTRAL} exp\n`)
  expect(stdout).toContain(`glaze warns of '${converted}' itself`)
  expect((await readdir(converted)).sort()).toEqual([
    'config.json',
    'generation_config.json',
    'glaze_conversion.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ])
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    const copy = await Bun.file(join(converted, name)).text()
    expect(copy).toBe(await Bun.file(join(MISTRAL, name)).text())
  }
  const record = await Bun.file(join(converted, 'glaze_conversion.json')).json()
  expect(record).toMatchObject({
    ...{ source: MISTRAL, source_model_type: 'mistral', to: 'gla', seed: 42, finetuned: false },
    copied: { tensors: 56, names: { 'model.layers.*.attn.q_proj.weight': 6 } },
    new: { tensors: 24, names: { 'model.layers.*.attn.gk_proj.0.weight': 6 } },
    dropped: { tensors: 0 },
  })
})

test('a teacher that glaze cannot serve is not compared with', async () => {
  const source = join(temp.path, 'llama 3')
  const rope_scaling = { rope_type: 'llama3', factor: 8, rope_theta: 500000 }
  await writeLlama(source, { config: { rope_scaling } })
  const out = join(temp.path, 'from llama 3')
  const { stdout, code } = await runGlaze(['convert', source, out, '--to', 'gla'])
  expect(code).toBe(0)
  expect(stdout).toContain('\nPositions are gone, without the scaling llama3.\n')
  expect(stdout).toContain('Measure the finetuned model: glaze eval exp\n')
  expect(stdout).toContain(`Its teacher cannot run here: ${source}/config.json: rope_scaling`)
})

// Under nohup a conversion outlives its terminal.
const hangsUp: ['SIGHUP', number][] = isIgnored('SIGHUP') ? [] : [['SIGHUP', 129]]

test.each<['SIGHUP' | 'SIGINT' | 'SIGTERM', number]>([
  ...hangsUp,
  ['SIGINT', 130],
  ['SIGTERM', 143],
])('%s in the middle leaves nothing', async (signal, code) => {
  const folder = join(temp.path, signal)
  // Zeros that take no room on the disk, and seconds to be written in another type.
  await writeSparse(join(folder, 'source'))
  const args = ['convert', 'source', 'out', '--to', 'gla', '--dtype', 'float32']
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: folder,
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const weights = Bun.file(join(folder, 'out.partial', 'model.safetensors'))
  while (!(await weights.exists())) await Bun.sleep(1)
  child.kill(signal)
  expect(await child.exited).toBe(code)
  expect(await new Response(child.stderr).text()).toBe('glaze: interrupted; nothing was kept\n')
  expect(await readdir(folder)).toEqual(['source'])
})

/** A Llama of 200 MB. */
async function writeSparse(folder: string): Promise<void> {
  await writeLlama(folder)
  const config = {
    ...LLAMA,
    vocab_size: 1_500_000,
    num_hidden_layers: 1,
    tie_word_embeddings: true,
  }
  await writeJson(join(folder, 'config.json'), config)
  const header: Record<string, object> = {}
  let end = 0
  for (const [name, shape] of tensorShapes(parseModelConfig(config, 'config.json'))) {
    const begin = end
    end += 2 * elementCount(shape)
    header[nameFor('llama', name)] = { dtype: 'BF16', shape, data_offsets: [begin, end] }
  }
  const text = JSON.stringify(header)
  const file = join(folder, 'model.safetensors')
  await writeRawSafetensors(file, text, new Uint8Array())
  await truncate(file, Bun.file(file).size + end)
}

test('what is there is not touched', async () => {
  const { stderr, code } = await runGlaze(['convert', MISTRAL, converted, '--to', 'gsa'])
  expect(code).toBe(1)
  const message = 'there is something of this name already; OUT is a new folder'
  expect(stderr).toBe(`glaze: ${converted}: ${message}\n`)
})

test.each<[string[], string]>([
  [[], 'SOURCE is missing: expected a folder, or OWNER/NAME'],
  [[MISTRAL], 'OUT is missing: expected the name of a folder to make'],
  [[MISTRAL, 'x'], '--to is missing: expected gla, gsa or hybrid'],
  [['/nowhere/model', join(temp.path, 'x'), '--to', 'gla'], '/nowhere/model'],
  [[MISTRAL, join(temp.path, 'x'), '--to', 'hybrid'], '--to hybrid needs --softmax-layers'],
])('%j ends with one line', async (args, message) => {
  const { stderr, code } = await runGlaze(['convert', ...args])
  expect(code).toBe(1)
  expect(stderr).toStartWith('glaze: ')
  expect(stderr).toContain(message)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

test('help has every option, and no variables', async () => {
  const { stdout, code } = await runGlaze(['convert', '--help'])
  expect(code).toBe(0)
  for (const flag of ['--to KIND', '--softmax-layers LAYERS', '--num-slots N', '--seed N']) {
    expect(stdout).toContain(flag)
  }
  expect(stdout).not.toContain('GLAZE_')
})

test('a model of a hub', async () => {
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors']
  const contents = await Promise.all(
    names.map(async (name) => [name, await Bun.file(join(MISTRAL, name)).bytes()] as const),
  )
  using hub = new FakeHub(Object.fromEntries(contents), 'tales/mistral')
  const out = join(temp.path, 'from-hub')
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(temp.path, 'hub') }
  const args = ['tales/mistral', out, '--to', 'hybrid', '--softmax-layers', '5']
  const { code } = await runGlaze(['convert', ...args], env)
  expect(code).toBe(0)
  const record = await Bun.file(join(out, 'glaze_conversion.json')).json()
  expect(record.source).toBe(`tales/mistral at ${COMMIT}`)
  // Files, where the cache has links.
  const listed = await readdir(out, { withFileTypes: true })
  expect(listed.every((entry) => entry.isFile())).toBe(true)
})

describe('a model that was not finetuned', () => {
  const check = async (folder: string) => {
    const { stderr, code } = await runGlaze(['serve', folder, '--check'])
    expect(code).toBe(0)
    return stderr.split('\n').filter((line) => line.includes(WARNING)).length
  }

  test('is warned of once, by serve and eval', async () => {
    expect(await check(converted)).toBe(1)
    const text = join(MISTRAL, 'config.json')
    const args = [converted, '--text', text, '--window', '64', '--adapter', ADAPTER]
    const { stdout, stderr, code } = await runGlaze(['eval', ...args])
    expect(code).toBe(0)
    expect(stderr.split(WARNING)).toHaveLength(2)
    expect(stderr).toContain(join(converted, 'glaze_conversion.json'))
    expect(stdout).toContain('tales gla')
  }, 30_000)

  test('is one until the file says otherwise, or is gone', async () => {
    const copy = join(temp.path, 'copy')
    await cp(converted, copy, { recursive: true })
    const file = join(copy, 'glaze_conversion.json')
    await Bun.write(file, (await Bun.file(file).text()).replace('false', 'true'))
    expect(await check(copy)).toBe(0)
    await Bun.write(file, '{')
    const broken = await runGlaze(['serve', copy, '--check'])
    expect(broken.code).toBe(1)
    expect(broken.stderr).toContain(`${file}: is not valid JSON`)
    await rm(file)
    expect(await check(copy)).toBe(0)
  })
})

test.each<[number, string]>([
  [0, '░'.repeat(24)],
  [0.5, '█'.repeat(12) + '░'.repeat(12)],
  [0.999, `${'█'.repeat(23)}░`],
  [1, '█'.repeat(24)],
])('%p as a bar', (part, expected) => {
  expect(bar(part)).toBe(expected)
})
