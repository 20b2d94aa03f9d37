// The first steps of a model, run before anyone waits for them.
import { CheckpointError } from '../errors.ts'
import { CHUNK } from '../gpu/step.ts'
import type { Runner } from './runner.ts'

/**
 * Runs prompts and batches of the usual sizes, because drivers compile a kernel at its first use.
 * @throws CheckpointError for `weightsFile` if logits are not finite
 */
export async function warmUp(runner: Runner, weightsFile: string): Promise<void> {
  const { slots, layout } = runner.decoder
  const check = (logits: Float32Array) => {
    if (logits.every(Number.isFinite)) return
    throw new CheckpointError(weightsFile, 'the model computes NaN or infinite logits from it')
  }
  const segment = (slot: number, length: number, decode: boolean) => ({
    slot,
    tokens: new Array<number>(length).fill(0),
    position: 0,
    logits: 'last' as const,
    decode,
  })
  const prompt = Math.min(CHUNK + 1, layout.maxLength ?? Number.POSITIVE_INFINITY)
  await runner.run([segment(0, prompt, false)], [0], check)
  for (let rows = 1; rows <= Math.min(slots, 16); rows *= 2) {
    const all = Array.from({ length: rows }, (_, slot) => slot)
    await runner.run(
      all.map((slot) => segment(slot, 1, true)),
      all,
      check,
    )
  }
}
