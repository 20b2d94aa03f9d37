// With invariant tuning a row of a product has the same bits alone and in any company.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { type MatmulOptions, matmul as plans } from '../../src/gpu/ops/matmul.ts'
import { Program } from '../../src/gpu/program.ts'
import { StepBuffer } from '../../src/gpu/step.ts'
import type { Tuning } from '../../src/gpu/tuning.ts'
import { bitsOf } from '../helpers/bits.ts'
import { openTestGpu, segmentsOf } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { matmul } from '../oracle/matmul.ts'

setDefaultTimeout(60_000)
const gpu = await openTestGpu()

const tunings: [string, Tuning][] = [
  ['plain', gpu.tuning('plain', 'f32', true)],
  ['subgroup', gpu.tuning('subgroup', 'f32', true)],
  [
    'subgroups of varying size',
    { ...gpu.tuning('subgroup', 'f32', true), subgroupSizesVary: true },
  ],
]

/** Most rows of a kind. */
const MOST = 70
const COUNTS = Array.from({ length: MOST }, (_, i) => i + 1)
const MIXES = [
  [1, 1],
  [1, 70],
  [2, 31],
  [5, 3],
  [8, 33],
  [9, 64],
  [17, 1],
  [70, 8],
  [70, 70],
]

interface Case {
  N: number
  K: number
  type: 'f16' | 'f32'
  bias?: boolean
  epilogue?: MatmulOptions['epilogue']
}

const cases: Case[] = [
  { N: 37, K: 97, type: 'f32', bias: true },
  { N: 45, K: 60, type: 'f16' },
  { N: 38, K: 24, type: 'f16', bias: true, epilogue: 'swiglu' },
  { N: 21, K: 40, type: 'f32', epilogue: 'add' },
  { N: 5, K: 271, type: 'f16', epilogue: 'add' },
]

/** One product, compiled once: row i of either kind has input i of a fixed list. */
async function prepare(tuning: Tuning, options: Case, rows: MatmulOptions['rows']) {
  const { N, K, type, epilogue = 'store' } = options
  const random = new Random(N * 31 + K)
  const width = epilogue === 'swiglu' ? N / 2 : N
  // What the kernels must not read or write is NaN.
  const inputs = new Float32Array(MOST * K).fill(Number.NaN)
  for (let row = 0; row < MOST; row++) {
    inputs.set(random.normals(K), row * K)
  }
  const before = new Float32Array(MOST * width).fill(Number.NaN)
  if (epilogue === 'add') before.set(random.normals(MOST * width))
  const weights = new Float32Array(new Float16Array(random.normals(N * K, K ** -0.5)))
  const bias = options.bias ? random.normals(N) : undefined
  const step = await StepBuffer.create(gpu.buffers, {
    tokens: 2 * MOST,
    segments: 2 * MOST,
    logitRows: 2 * MOST,
  })
  const x = await gpu.output(2 * MOST * K)
  const y = await gpu.output((2 * MOST + 1) * width)
  const all = plans(tuning, {
    step: step.tables,
    x: floats(x),
    weights: await uploadMatrix(gpu.buffers, 'weights', weights, N, K, type),
    y,
    rows,
    maxRows: 2 * MOST,
    epilogue,
    ...(bias && { bias: await gpu.input(bias) }),
  })
  const program = await Program.compile(gpu.pipelines, all)
  const { queue } = gpu.gpu.device

  /** Runs decode rows and prompt rows with these inputs and returns their results. */
  const run = async (decodes: readonly number[], prompts: readonly number[]) => {
    const segments = segmentsOf([
      ...decodes.map(() => 'decode' as const),
      ...(prompts.length > 0 ? [prompts.length] : []),
    ])
    for (const segment of segments) segment.logits = rows === 'logit_rows' ? 'all' : 'none'
    const counts = step.write(queue, segments)
    const ids = [...decodes, ...prompts]
    const part = (data: Float32Array, id: number, size: number) =>
      data.subarray(id * size, (id + 1) * size)
    const input = new Float32Array(2 * MOST * K).fill(Number.NaN)
    const output = new Float32Array((2 * MOST + 1) * width).fill(Number.NaN)
    for (const [row, id] of ids.entries()) {
      input.set(part(inputs, id, K), row * K)
      output.set(part(before, id, width), row * width)
    }
    queue.writeBuffer(x.buffer, 0, input)
    queue.writeBuffer(y.buffer, 0, output)
    const encoder = gpu.gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    program.encode(pass, counts)
    pass.end()
    queue.submit([encoder.finish()])
    const result = new Float32Array(await gpu.read(y))
    expect(result.subarray(ids.length * width).every(Number.isNaN)).toBe(true)
    return ids.map((_, row) => part(result, row, width))
  }
  const shape = { rows: MOST, N, K }
  const exact = matmul({ x: inputs, weights, ...shape, bias, epilogue, y: before })
  return { run, exact }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const joined = (rows: Float32Array[]) => bitsOf(rows.flatMap((row) => [...row]))

describe.each(tunings)('invariant matmul, %s', (_, tuning) => {
  test.each(cases)('decode rows, prompt rows and both: %j', async (options) => {
    const { run, exact } = await prepare(tuning, options, 'tokens')
    const decode: Float32Array[] = []
    const prompt: Float32Array[] = []
    for (const id of upTo(MOST)) {
      decode.push(...(await run([id], [])))
      prompt.push(...(await run([], [id])))
    }
    for (const alone of [decode, prompt]) {
      const values = alone.flatMap((row) => [...row])
      expect(rmsError(values, exact)).toBeLessThan(2e-6)
    }
    for (const count of COUNTS) {
      const ids = upTo(count)
      expect(joined(await run(ids, []))).toEqual(joined(decode.slice(0, count)))
      expect(joined(await run([], ids))).toEqual(joined(prompt.slice(0, count)))
    }
    for (const [decodes, prompts] of MIXES) {
      const rows = await run(upTo(decodes).reverse(), upTo(prompts))
      expect(joined(rows.slice(0, decodes).reverse())).toEqual(joined(decode.slice(0, decodes)))
      expect(joined(rows.slice(decodes))).toEqual(joined(prompt.slice(0, prompts)))
    }
  })

  test.each(cases.slice(0, 2))('rows of logits, whoever wants them: %j', async (options) => {
    const { run, exact } = await prepare(tuning, options, 'logit_rows')
    const alone: Float32Array[] = []
    for (const id of upTo(MOST)) alone.push(...(await run([id], [])))
    const values = alone.flatMap((row) => [...row])
    expect(rmsError(values, exact)).toBeLessThan(2e-6)
    for (const count of COUNTS) {
      const ids = upTo(count)
      expect(joined(await run(ids, []))).toEqual(joined(alone.slice(0, count)))
      expect(joined(await run([], ids))).toEqual(joined(alone.slice(0, count)))
    }
    for (const [decodes, prompts] of MIXES) {
      const rows = await run(upTo(decodes), upTo(prompts))
      const expected = [...alone.slice(0, decodes), ...alone.slice(0, prompts)]
      expect(joined(rows)).toEqual(joined(expected))
    }
  })

  test('every row has one plan', async () => {
    const { tables: step, counts } = await gpu.step(segmentsOf([1]))
    const weights = await uploadMatrix(gpu.buffers, 'weights', new Float32Array(64), 8, 8, 'f32')
    const shared = { step, x: floats(weights.range), y: weights.range, weights, maxRows: 2048 }
    const tokens = plans(tuning, shared)
    const logits = plans(tuning, { ...shared, rows: 'logit_rows' })
    for (const decodes of [0, 1, 2, 3, 8, 9, 64, 512]) {
      for (const prompts of [0, 1, 7, 8, 9, 64, 65, 2048]) {
        const all = { ...counts, tokens: decodes + prompts, decodes, logitRows: decodes + prompts }
        const used = tokens.filter((plan) => plan.grid(all) !== undefined)
        const made = used.map((plan) => plan.params.ROWS)
        const kinds = [decodes > 0 && 'decode_tokens', prompts > 0 && 'prompt_tokens']
        const anyRow = decodes + prompts > 0
        const expected = tuning.variant === 'subgroup' ? kinds.filter(Boolean) : ['tokens']
        expect(made as unknown[]).toEqual(anyRow ? expected : [])
        expect(logits.filter((plan) => plan.grid(all) !== undefined).length).toBe(anyRow ? 1 : 0)
      }
    }
  })
})
