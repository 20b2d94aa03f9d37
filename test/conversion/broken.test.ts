// Sources and places that will not do: one clear line, and nothing left behind.
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdir, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError } from '../../src/errors.ts'
import type { Json, Tensors } from '../helpers/checkpoints.ts'
import { readTensors, writeJson, writeShards } from '../helpers/checkpoints.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { convertFolder, LLAMA, type SourceOverrides, writeLlama } from './sources.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

let count = 0

/** A folder of its own for a source and what becomes of it. */
async function place(): Promise<{ folder: string; source: string; out: string }> {
  const folder = join(temp.path, `${count++}`)
  await mkdir(folder)
  return { folder, source: join(folder, 'source'), out: join(folder, 'out') }
}

type Fails = [what: string, spoil: (folder: string) => Promise<unknown>, message: string]

/** Writes a source that differs from a sound one. */
const written = (overrides: SourceOverrides) => (folder: string) => writeLlama(folder, overrides)
const tensors = (change: (tensors: Tensors) => void) => written({ tensors: change })

/** A sound source but for keys of its config.json, which the weights do not follow. */
const says = (keys: Json) => async (folder: string) => {
  await writeLlama(folder)
  await writeJson(join(folder, 'config.json'), { ...LLAMA, ...keys })
}

const Q = 'model.layers.1.self_attn.q_proj.weight'

const SOURCES: Fails[] = [
  [
    'another architecture',
    says({ model_type: 'gpt2' }),
    'config.json: model_type: found "gpt2"; allowed: "mistral", "llama", "transformer"',
  ],
  ['a linear model', says({ model_type: 'gla' }), 'model_type: found "gla"; allowed: "mistral"'],
  ['no folder', async () => {}, 'source: '],
  ['a file', (folder) => writeFile(folder, ''), 'is a file; a checkpoint is a folder'],
  [
    'no config.json',
    async (folder) => {
      await writeLlama(folder)
      await rm(join(folder, 'config.json'))
    },
    'config.json',
  ],
  [
    'a broken config.json',
    async (folder) => {
      await writeLlama(folder)
      await writeFile(join(folder, 'config.json'), '{')
    },
    'config.json: is not valid JSON',
  ],
  [
    'heads that do not divide',
    says({ num_key_value_heads: 3 }),
    'num_key_value_heads: found 3; allowed: a divisor of the 8 heads',
  ],
  ['a bias of the MLP', says({ mlp_bias: true }), 'mlp_bias: found true'],
  [
    'a missing tensor',
    tensors((all) => {
      delete all[Q]
    }),
    `model.safetensors: has no tensor ${Q}; expected with shape [64, 64]`,
  ],
  [
    'an unknown tensor',
    tensors((all) => {
      all['model.layers.0.self_attn.sinks'] = all['model.norm.weight']
    }),
    'tensor model.layers.0.self_attn.sinks has no place in the new model',
  ],
  [
    'layers beyond the last',
    says({ num_hidden_layers: 2 }),
    '(and 8 more) has no place in the new model; config.json says num_hidden_layers 2',
  ],
  [
    'a tensor of another shape',
    tensors((all) => {
      all[Q] = all['model.layers.1.mlp.gate_proj.weight']
    }),
    `tensor ${Q}: found shape [96, 64]; allowed: [64, 64] (from config.json)`,
  ],
  [
    'a file that was cut off',
    async (folder) => {
      await writeLlama(folder)
      await truncate(join(folder, 'model.safetensors'), 400_000)
    },
    'is the file truncated?',
  ],
  [
    'a missing shard',
    async (folder) => {
      await writeLlama(folder)
      const all = await readTensors(folder)
      await rm(join(folder, 'model.safetensors'))
      await writeShards(folder, all, 2)
      await rm(join(folder, 'model-00002-of-00002.safetensors'))
    },
    'lists the shard model-00002-of-00002.safetensors, which is missing',
  ],
  [
    'a range for new weights that is none',
    says({ initializer_range: '0.02' }),
    'config.json: initializer_range: found "0.02"; allowed: a number above 0',
  ],
  [
    'a link to a tokenizer that is gone',
    async (folder) => {
      await writeLlama(folder)
      await symlink('/nowhere/at/all', join(folder, 'tokenizer.model'))
    },
    'source/tokenizer.model: cannot be read (ENOENT)',
  ],
  [
    'a file where templates should be',
    async (folder) => {
      await writeLlama(folder)
      await writeFile(join(folder, 'additional_chat_templates'), '')
    },
    'source/additional_chat_templates: cannot be read (ENOTDIR)',
  ],
  [
    'pickled weights',
    async (folder) => {
      await writeLlama(folder)
      await rm(join(folder, 'model.safetensors'))
      await writeFile(join(folder, 'pytorch_model.bin'), '')
    },
    'pickled weights are not read',
  ],
]

describe('a source', () => {
  test.each(SOURCES)('with %s', async (_, spoil, message) => {
    const { folder, source, out } = await place()
    await spoil(source)
    const before = await readdir(folder)
    const converting = convertFolder(source, out, ['--to', 'gla'])
    await expect(converting).rejects.toThrow(OperatorError)
    await expect(converting).rejects.toThrow(message)
    expect(await readdir(folder)).toEqual(before)
  })

  test.each<[string, string[], number, string]>([
    ['too large a number', ['--dtype', 'float16'], 70000, 'found 70016; does not fit in F16'],
    [
      'a number that is none',
      ['--dtype', 'float32'],
      Number.NaN,
      'found NaN; weights must be finite',
    ],
    ['infinity', ['--dtype', 'bfloat16'], Number.POSITIVE_INFINITY, 'found Infinity; weights must'],
  ])('with %s, in another type', async (_, args, value, message) => {
    const { folder, source, out } = await place()
    // In float32, so that every type is another one than that.
    const dtype = args[1] === 'float32' ? 'BF16' : 'F32'
    const rounded = value === 70000 ? 70016 : value
    await writeLlama(source, {
      dtype,
      tensors: (all) => {
        const { data } = all[Q]
        ;(data as Float32Array)[130] = rounded
      },
    })
    const converting = convertFolder(source, out, ['--to', 'gla', ...args])
    await expect(converting).rejects.toThrow(`tensor ${Q}, element 130: ${message}`)
    expect(await readdir(folder)).toEqual(['source'])
  })
})

describe('a place', () => {
  test.each<[string, (out: string) => Promise<unknown>]>([
    ['a folder', (out) => mkdir(out)],
    ['a file', (out) => writeFile(out, 'mine')],
    ['a link to nothing', (out) => symlink('/nowhere/at/all', out)],
  ])('that is taken by %s', async (_, take) => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    await take(out)
    const converting = convertFolder(source, out, ['--to', 'gla'])
    await expect(converting).rejects.toThrow('there is something of this name already')
    expect((await readdir(folder)).sort()).toEqual(['out', 'source'])
  })

  test('that is taken while the weights are written', async () => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    const onProgress = (done: number, total: number) => {
      if (done === total) return void Bun.spawnSync(['mkdir', '-p', out])
    }
    const converting = convertFolder(source, out, ['--to', 'gla'], { onProgress })
    await expect(converting).rejects.toThrow('there is something of this name already')
    expect((await readdir(folder)).sort()).toEqual(['out', 'source'])
    expect(await readdir(out)).toEqual([])
  })

  test('in no folder, and in a file', async () => {
    const { source, folder } = await place()
    await writeLlama(source)
    const nowhere = convertFolder(source, join(folder, 'a/b'), ['--to', 'gla'])
    await expect(nowhere).rejects.toThrow('the folder that should hold it does not exist (ENOENT)')
    await writeFile(join(folder, 'file'), '')
    const inFile = convertFolder(source, join(folder, 'file/b'), ['--to', 'gla'])
    await expect(inFile).rejects.toThrow('what should hold it is no folder (ENOTDIR)')
  })

  test('without room for it', async () => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    const freeBytes = async () => 1_000_000
    const converting = convertFolder(source, out, ['--to', 'gla'], { freeBytes })
    await expect(converting).rejects.toThrow(OperatorError)
    await expect(converting).rejects.toThrow(`${folder}: 3 MB are needed, 1 MB are free`)
    expect(await readdir(folder)).toEqual(['source'])
    // Some file systems do not tell.
    const untold = { freeBytes: async () => undefined }
    await convertFolder(source, out, ['--to', 'gla'], untold)
  })

  test('where a conversion was killed', async () => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    await mkdir(join(folder, 'out.partial/additional_chat_templates'), { recursive: true })
    await writeFile(join(folder, 'out.partial/model-00007-of-00009.safetensors'), 'half a shard')
    await convertFolder(source, out, ['--to', 'gla'])
    expect((await readdir(folder)).sort()).toEqual(['out', 'source'])
    expect(await readdir(out)).not.toContain('model-00007-of-00009.safetensors')
  })

  test('where another conversion is under way', async () => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    let other: unknown
    const onProgress = async () => {
      other ??= convertFolder(source, out, ['--to', 'gsa']).catch((error) => error)
    }
    await convertFolder(source, out, ['--to', 'gla'], { onProgress })
    const error = await other
    expect(error).toBeInstanceOf(OperatorError)
    expect((error as Error).message).toContain(`${out}.partial: another conversion writes here`)
    expect(await Bun.file(join(out, 'config.json')).json()).toMatchObject({ model_type: 'gla' })
    expect((await readdir(folder)).sort()).toEqual(['out', 'source'])
  })

  test('where a file has the name of the folder to write in', async () => {
    const { folder, source, out } = await place()
    await writeLlama(source)
    await writeFile(`${out}.partial`, 'mine')
    const converting = convertFolder(source, out, ['--to', 'gla'])
    await expect(converting).rejects.toThrow(`${out}.partial: is no folder`)
    expect((await readdir(folder)).sort()).toEqual(['out.partial', 'source'])
  })
})

test.each<[string, string]>([
  ['ENOSPC', 'the disk is full (ENOSPC); nothing was kept'],
  ['EDQUOT', 'the quota on this disk is used up (EDQUOT)'],
  ['EIO', 'cannot be written (EIO)'],
])('%s in the middle of the weights', async (code, message) => {
  const { folder, source, out } = await place()
  await writeLlama(source)
  let closed = 0
  let seen: string[] = []
  const openFile = async () => {
    let left = 100_000
    return {
      writeFile: async (data: unknown) => {
        left -= (data as Uint8Array).length
        if (left > 0) return
        seen = await readdir(folder)
        throw Object.assign(new Error(code), { code })
      },
      close: async () => void closed++,
    }
  }
  const converting = convertFolder(source, out, ['--to', 'gla'], { openFile })
  await expect(converting).rejects.toThrow(`${out}: ${message}`)
  expect(seen.sort()).toEqual(['out.partial', 'source'])
  expect(await readdir(folder)).toEqual(['source'])
  expect(closed).toBe(1)
})

test('a conversion that is interrupted leaves nothing', async () => {
  const { folder, source, out } = await place()
  await writeLlama(source)
  const abort = new AbortController()
  let partial: string[] = []
  const onProgress = (done: number) => {
    if (done < 50_000 || abort.signal.aborted) return
    partial = Bun.spawnSync(['ls', folder]).stdout.toString().trim().split('\n')
    abort.abort(new Error('enough'))
  }
  const { signal } = abort
  const converting = convertFolder(source, out, ['--to', 'gla'], { onProgress, signal })
  await expect(converting).rejects.toThrow('enough')
  expect(partial).toEqual(['out.partial', 'source'])
  expect(await readdir(folder)).toEqual(['source'])
})
