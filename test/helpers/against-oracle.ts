// How far a model on the test device is from the float64 oracle, whichever way it is fed.
import type { Segment } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { type OracleModel, readOracleModel } from '../oracle/checkpoint.ts'
import { oracleLogits } from '../oracle/decoder.ts'
import type { openTestGpu } from './gpu.ts'
import { decodeRow, openTestModel, slice, type TestModel } from './model.ts'
import { rmsError } from './numbers.ts'
import { randomIds } from './random-model.ts'

/** A single token, less than a chunk, and two chunks with a bit of a third. */
const LENGTHS = [1, 37, 130]
/** Tokens of the longest sequence that are fed as a prompt, and where it is cut. */
const PROMPT = 120
const CUT = 64
const MAX_LENGTH = 256

/** Sequences and the logits of all their positions, [tokens, vocab]. */
export interface Expected {
  sequences: { ids: number[]; logits: Float64Array }[]
  vocabSize: number
}

/** What the model of a folder should say to a short, a middling and a long sequence. */
export async function expectedOf(folder: string): Promise<Expected> {
  return expectedLogits(await readOracleModel(folder))
}

export function expectedLogits(model: OracleModel): Expected {
  const { vocabSize } = model.config
  const sequences = LENGTHS.map((length, i) => {
    const ids = randomIds(length, vocabSize, i)
    return { ids, logits: oracleLogits(model, ids) }
  })
  return { sequences, vocabSize }
}

/** Root mean square errors of logits, relative to their size. */
export interface OracleErrors {
  /** All sequences in one step. */
  prompts: number
  /** A prompt in two slices. */
  slices: number
  /** Single tokens behind that prompt. */
  afterPrompt: number
  /** Single tokens from the start. */
  fromStart: number
}

/** Feeds a folder's model in these ways. */
export async function errorsOf(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  folder: string,
  variant: Variant,
  { sequences, vocabSize }: Expected,
): Promise<OracleErrors> {
  const model = await openTestModel(gpu, folder, variant, MAX_LENGTH)
  const run = (segments: Segment[]) => runPoisoned(gpu, model, segments)
  const whole = await run(sequences.map(({ ids }, slot) => slice(slot, ids, 0)))
  const prompts = rmsError(
    whole,
    sequences.flatMap(({ logits }) => [...logits]),
  )

  const [, middle, long] = sequences
  const slices = [
    ...(await run([slice(2, long.ids.slice(0, CUT), 0)])),
    ...(await run([slice(2, long.ids.slice(CUT, PROMPT), CUT)])),
  ]
  // The rest of the long sequence behind its prompt, beside the beginning of another.
  const behind: number[] = []
  const beginning: number[] = []
  for (let i = 0; PROMPT + i < long.ids.length; i++) {
    const at = PROMPT + i
    const rows = await run([decodeRow(0, middle.ids[i], i), decodeRow(2, long.ids[at], at)])
    beginning.push(...rows.subarray(0, vocabSize))
    behind.push(...rows.subarray(vocabSize))
  }
  return {
    prompts,
    slices: rmsError(slices, long.logits.subarray(0, slices.length)),
    afterPrompt: rmsError(behind, long.logits.subarray(slices.length)),
    fromStart: rmsError(beginning, middle.logits.subarray(0, beginning.length)),
  }
}

/** A step whose logits are NaN before it, so that anything left unwritten shows. */
async function runPoisoned(
  { gpu }: Awaited<ReturnType<typeof openTestGpu>>,
  model: TestModel,
  segments: Segment[],
): Promise<Float32Array> {
  const tokens = segments.reduce((sum, segment) => sum + segment.tokens.length, 0)
  const nothing = new Float32Array(tokens * model.vocabSize).fill(Number.NaN)
  gpu.device.queue.writeBuffer(model.decoder.logits, 0, nothing)
  return await model.run(segments)
}
