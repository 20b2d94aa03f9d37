// The first steps of a model, run before anyone waits for them.
import { CheckpointError } from '../errors.ts'
import { RESULT_WORDS } from '../gpu/ops/sample.ts'
import { CHUNK, type SampleRow, type Segment } from '../gpu/step.ts'
import type { Runner } from './runner.ts'
import { readResult, samplingFields } from './sampler.ts'
import type { StateCopies } from './state-copies.ts'

/** Every pass of the sampler runs once. */
const SAMPLING = samplingFields({
  temperature: 1,
  topP: 0.5,
  topK: 10,
  minP: 0.01,
  seed: undefined,
})

/**
 * Runs prompts and batches of the usual sizes, because drivers compile a kernel at its first use.
 * @throws CheckpointError for `weightsFile` if logits are not finite
 */
export async function warmUp(
  runner: Runner,
  copies: StateCopies,
  weightsFile: string,
): Promise<void> {
  const { slots, layout } = runner.decoder
  const prompt = Math.min(CHUNK + 1, layout.maxLength ?? Number.POSITIVE_INFINITY)
  await runOnce(runner, copies, [segment(0, prompt, false)], weightsFile)
  for (let rows = 1; rows <= Math.min(slots, 16); rows *= 2) {
    const segments = Array.from({ length: rows }, (_, slot) => segment(slot, 1, true))
    await runOnce(runner, copies, segments, weightsFile)
  }
}

function segment(slot: number, length: number, decode: boolean): Segment {
  return { slot, tokens: new Array<number>(length).fill(0), position: 0, logits: 'last', decode }
}

async function runOnce(
  runner: Runner,
  copies: StateCopies,
  segments: Segment[],
  weightsFile: string,
): Promise<void> {
  const samples = segments.map(
    ({ slot }, logitRow): SampleRow => ({ ...SAMPLING, logitRow, slot, top: 1, random: 0 }),
  )
  const before = segments.map(({ slot }) => copies.clear(slot))
  const results = await runner.run({ segments, samples, before })
  for (let row = 0; row < samples.length; row++) {
    if (readResult(results, row * RESULT_WORDS, 1).finite) continue
    throw new CheckpointError(weightsFile, 'the model computes NaN or infinite logits from it')
  }
}
