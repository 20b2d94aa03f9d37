// Converted folders compute what their weights mean: the same logits in glaze and in float64.
import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { errorsOf, expectedOf } from '../helpers/against-oracle.ts'
import type { Tensors } from '../helpers/checkpoints.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { rmsError } from '../helpers/numbers.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { readOracleModel } from '../oracle/checkpoint.ts'
import { oracleLogits } from '../oracle/decoder.ts'
import { convertFolder, MISTRAL, writeLlama } from './sources.ts'

const REFERENCE = join(import.meta.dir, '../../../shared/reference')
const PYTHON = Bun.which('python3')
const hasReference =
  (await Bun.file(join(REFERENCE, 'reference.py')).exists()) &&
  PYTHON !== null &&
  Bun.spawnSync([PYTHON, '-c', 'import numpy'], { stderr: 'ignore' }).success

const gpu = await openTestGpu()
const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

const biased = (tensors: Tensors) => {
  for (const letter of ['q', 'k', 'v']) {
    const name = `model.layers.1.self_attn.${letter}_proj`
    const [rows] = tensors[`${name}.weight`].shape
    const data = Float32Array.from({ length: rows }, (_, i) => Math.sin(i))
    tensors[`${name}.bias`] = { dtype: 'BF16', shape: [rows], data }
  }
}

const SMALL = { vocab_size: 101, num_hidden_layers: 2 }

const CASES: [name: string, source: Parameters<typeof writeLlama>[1], args: string[]][] = [
  ['gla', { config: SMALL }, ['--to', 'gla']],
  [
    'gla with everything',
    { config: { ...SMALL, head_dim: 12 }, dtype: 'F32' },
    ['--to', 'gla', '--output-gate', '--short-conv', '--feature-map', 'swish'],
  ],
  ['gsa', { config: SMALL, dtype: 'F16' }, ['--to', 'gsa', '--num-slots', '16']],
  [
    'gsa with everything',
    { config: { ...SMALL, tie_word_embeddings: true } },
    ['--to', 'gsa', '--num-slots', '8', '--short-conv', '--feature-map', 't2r'],
  ],
  [
    'hybrid with biases and a window',
    { config: SMALL, tensors: biased },
    ['--to', 'hybrid', '--mixer', 'gsa', '--softmax-layers', '1', '--window', '16'],
  ],
]

describe.each(CASES)('%s', (name, source, args) => {
  const out = join(temp.path, name)

  // Of one kind of kernels: test/models has both against the same oracle.
  test('glaze and float64', async () => {
    await writeLlama(`${out} source`, source)
    await convertFolder(`${out} source`, out, args)
    const errors = await errorsOf(gpu, out, 'plain', await expectedOf(out))
    for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-4)
  })
})

test('layers that stay softmax compute what they did', async () => {
  const source = join(temp.path, 'teacher')
  await writeLlama(source, { config: SMALL })
  const out = join(temp.path, 'student')
  await convertFolder(source, out, ['--to', 'hybrid', '--softmax-layers', '0'])
  const [teacher, student] = [await readOracleModel(source), await readOracleModel(out)]
  // Without its second layer, the linear one, the student is the teacher of one layer.
  const first = ({ config, weights }: typeof teacher) => ({
    ...{ config: { ...config, layers: config.layers.slice(0, 1) }, weights },
  })
  const ids = [1, 5, 9, 100, 7]
  expect(oracleLogits(first(student), ids)).toEqual(oracleLogits(first(teacher), ids))
})

test('a head of its own computes what the tied one did', async () => {
  const source = join(temp.path, 'tied')
  await writeLlama(source, { config: { ...SMALL, tie_word_embeddings: true } })
  const [tied, untied] = [join(temp.path, 'stays tied'), join(temp.path, 'untied')]
  await convertFolder(source, tied, ['--to', 'gla'])
  await convertFolder(source, untied, ['--to', 'gla', '--untie', '--dtype', 'float32'])
  const ids = [1, 5, 9, 100, 7]
  const [a, b] = [await readOracleModel(tied), await readOracleModel(untied)]
  expect(b.weights.get('lm_head.weight')).toEqual(b.weights.get('model.embeddings.weight'))
  // New weights are rounded to bfloat16 in the one that stays tied.
  expect(rmsError([...oracleLogits(b, ids)], oracleLogits(a, ids))).toBeLessThan(0.01)
})

const SCRIPT = `
import json, sys
sys.path.insert(0, sys.argv[1])
import reference
model = reference.Model(*reference.read_checkpoint(sys.argv[2]))
print(json.dumps(model.forward(json.loads(sys.argv[3]), [model.new_state()]).tolist()))
`

test.skipIf(!hasReference)(
  'the shipped softmax model, converted: the NumPy reference (needs ../shared and numpy)',
  async () => {
    const ids = [1, 365, 900, 12, 4000, 77, 5, 600, 33]
    const kinds = [
      ['--to', 'gla'],
      ['--to', 'gsa', '--num-slots', '32'],
      ['--to', 'hybrid', '--softmax-layers', '2,5', '--window', '4'],
    ]
    for (const args of kinds) {
      const out = join(temp.path, `tales ${args[1]}`)
      await convertFolder(MISTRAL, out, args)
      const python = Bun.spawnSync([
        ...[PYTHON!, '-c', SCRIPT, REFERENCE, out, JSON.stringify(ids)],
      ])
      expect(python.stderr.toString()).toBe('')
      const logits: number[][] = JSON.parse(python.stdout.toString())
      const own = oracleLogits(await readOracleModel(out), ids)
      expect(rmsError(own, logits.flat())).toBeLessThan(1e-9)
    }
  },
  30_000,
)
