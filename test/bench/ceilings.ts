// What a device can do at best, measured in the same run as everything else: bytes copied and
// operations in registers. Figures of models are shares of these.
import type { LoadedModel } from '../../src/engine/load.ts'
import { type BufferRange, Buffers } from '../../src/gpu/buffers.ts'
import { type Pipeline, Pipelines } from '../../src/gpu/pipelines.ts'
import type { Bindings } from './bindings.ts'
import {
  CHAINS,
  COPY,
  DOT,
  DOT_START,
  FILL,
  FILL_FACTOR,
  FMA,
  LOAD_UNROLL,
  SUM_STEP,
} from './ceiling-kernels.ts'
import { type Encode, GpuTimer } from './timing.ts'

export interface Ceilings {
  /** Bytes read and written per second by a plain copy, in 10^9. */
  copyGBs: number
  /** Multiply-adds in float32, counted as two operations each, in 10^12 per second. */
  fmaTflops: number
  /** Products of four signed bytes with their sum, counted as eight operations, in 10^12 per second. */
  dotTops: number
}

const WORKGROUP = 256

/** Bytes copied and work of an invocation. */
const SIZES = {
  gpu: { bytes: 2 ** 29, loops: 4096, groups: 132 * 32 },
  software: { bytes: 2 ** 23, loops: 64, groups: 64 },
}

/** @throws Error if a kernel computed something else than it should */
export async function measureCeilings(
  { gpu }: Pick<LoadedModel, 'gpu'>,
  timestamps: boolean,
  rounds: number,
): Promise<Ceilings> {
  using buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
  using timer = await GpuTimer.create(gpu, buffers, timestamps)
  const pipelines = new Pipelines(gpu.device)
  const { bytes, loops, groups } = gpu.adapter.software ? SIZES.software : SIZES.gpu
  const kernel = (name: string, text: string) =>
    pipelines.get({ name: `${name}.wgsl`, text, includes: {} }, {})
  const encode = (pipeline: Pipeline, bindings: Bindings, workgroups: number): Encode => {
    const group = pipelines.bind(pipeline, bindings)
    return (pass) => {
      pass.setPipeline(pipeline.handle)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(workgroups)
    }
  }
  const run = (...dispatch: Parameters<typeof encode>) => timer.pass(encode(...dispatch))
  // The best: nothing makes a device faster than it is.
  const time = async (...dispatch: Parameters<typeof encode>) =>
    Math.min(...(await timer.repeated(encode(...dispatch), rounds)))

  const original = { buffer: await buffers.create('original', bytes) }
  const copied = { buffer: await buffers.create('copy', bytes) }
  const vectorGroups = bytes / (WORKGROUP * LOAD_UNROLL * 16)
  await run(await kernel('fill', FILL), { original }, vectorGroups)
  const copyMs = await time(await kernel('copy', COPY), { original, copied }, vectorGroups)
  await checkCopy(buffers, bytes / 4, copied)

  const threads = groups * WORKGROUP
  const results = { buffer: await buffers.create('results', threads * 16) }
  const factors = async (...values: number[]) => ({
    buffer: await buffers.upload('factors', Uint32Array.from(values)),
  })
  const float = (value: number) => new Uint32Array(new Float32Array([value]).buffer)[0]
  const operations = loops * CHAINS * threads

  const fma = { factors: await factors(loops, float(1), float(SUM_STEP)), results }
  const fmaMs = await time(await kernel('fma', FMA), fma, groups)
  await checkFma(buffers, results, loops, threads)

  const dot = { factors: await factors(loops, DOT_START.factor, DOT_START.addend), results }
  const dotMs = await time(await kernel('dot', DOT), dot, groups)
  await checkDot(buffers, results, loops)
  return {
    copyGBs: (2 * bytes) / copyMs / 1e6,
    fmaTflops: (2 * operations) / fmaMs / 1e9,
    dotTops: (8 * operations) / dotMs / 1e9,
  }
}

async function checkCopy(buffers: Buffers, words: number, copied: BufferRange): Promise<void> {
  const size = 4096
  for (const at of [0, words / 2, words - size / 4]) {
    const found = new Uint32Array(await buffers.read({ ...copied, offset: at * 4, size }))
    for (const [i, word] of found.entries()) {
      const expected = Math.imul(at + i, FILL_FACTOR) >>> 0
      if (word !== expected) throw wrongResult('copy', at + i, word, expected)
    }
  }
}

/** The chains of invocation i begin at i % 64 and its next integers and grow by equal steps. */
async function checkFma(buffers: Buffers, results: BufferRange, loops: number, threads: number) {
  const found = await buffers.readFloats(results)
  for (const i of [0, 1, Math.floor(threads / 2), threads - 1]) {
    // Four chains to a component of the result, each exact: sums of few bits.
    const expected = 4 * ((i % 64) + loops * SUM_STEP) + 6
    if (found[4 * i] !== expected) throw wrongResult('fma', i, found[4 * i], expected)
  }
}

/** A chain followed on the host. */
async function checkDot(buffers: Buffers, results: BufferRange, loops: number): Promise<void> {
  const found = new Int32Array(await buffers.read({ ...results, size: 16 * 64 }))
  for (const i of [0, 1, 63]) {
    let expected = 0
    for (let chain = 0; chain < 4; chain++) {
      let value = i + chain
      for (let loop = 0; loop < loops; loop++) {
        value = (dot4(value, DOT_START.factor) + DOT_START.addend) | 0
      }
      expected = (expected + value) | 0
    }
    if (found[4 * i] !== expected) throw wrongResult('dot', i, found[4 * i], expected)
  }
}

/** dot4I8Packed */
export function dot4(a: number, b: number): number {
  let sum = 0
  for (let shift = 0; shift < 32; shift += 8) {
    sum += ((a << (24 - shift)) >> 24) * ((b << (24 - shift)) >> 24)
  }
  return sum
}

function wrongResult(name: string, at: number, found: number, expected: number): Error {
  return new Error(`the ${name} kernel computes ${found} at ${at}, right is ${expected}`)
}
