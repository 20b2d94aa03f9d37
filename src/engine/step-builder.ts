// From the scheduler's shares to the work of one step: segments, rows to sample, and the copies that
// start, keep and fork states around it.
import { invariant } from '../errors.ts'
import { logitRowsOf, SAMPLED, type SampleRow, type Segment } from '../gpu/step.ts'
import { type PrefixAdmission, queryOf } from './admission.ts'
import { randomBits } from './random.ts'
import type { Copy, StepWork } from './runner.ts'
import { samplingFields } from './sampler.ts'
import type { Share } from './scheduler.ts'
import type { Sequence } from './sequence.ts'

/** What a step will have to say about one sequence. */
export interface Part {
  sequence: Sequence
  /** Its first row of the step's results. */
  firstRow: number
  /** Rows that score prompt tokens. */
  scores: number
  /** A row with a drawn token follows. */
  draws: boolean
  /** The whole prompt is done with this step or before. */
  complete: boolean
}

/** The work of a step and how to read its results. */
export function buildStep(
  shares: readonly Share[],
  admission: PrefixAdmission,
): { work: StepWork; parts: Part[] } {
  const segments: Segment[] = []
  const logitRows = new Map<Share, number>()
  let rows = 0
  for (const share of shares) {
    if (share.count === 0) continue
    const segment = toSegment(share)
    const wanted = logitRowsOf(segment)
    segments.push(segment)
    rows += wanted
    // Of several rows the last one belongs to the share's last token.
    if (wanted > 0) logitRows.set(share, rows - 1)
  }
  const { before, restored } = admission.take()
  let restoredRows = 0
  for (const share of shares) {
    const row = restored.get(share.sequence)
    if (row === undefined || share.count > 0) continue
    const logitRow = rows + restoredRows++
    before.push(admission.copies.loadLogits(row, logitRow))
    logitRows.set(share, logitRow)
  }
  for (const share of shares) {
    const row = share.copyOf && logitRows.get(share.copyOf)
    if (row !== undefined) logitRows.set(share, row)
  }

  const samples: SampleRow[] = []
  const parts = shares.map((share) => addRows(share, logitRows.get(share), samples))
  const after = [...forks(shares, admission), ...snapshots(shares, logitRows, admission)]
  for (const { sequence } of shares) sequence.submitted = sequence.position
  return { work: { segments, samples, before, after, restored: restoredRows }, parts }
}

/** True if the whole prompt is done with this share or before. */
function isComplete({ sequence, position, count }: Share): boolean {
  return position + count >= sequence.request.prompt.length
}

function drawsToken(share: Share): boolean {
  return isComplete(share) && share.sequence.maxTokens > 0
}

function toSegment(share: Share): Segment {
  const { sequence, slot, position, count, decode } = share
  const { prompt } = sequence.request
  const tokens = decode ? [SAMPLED] : prompt.slice(position, position + count)
  const isScored = sequence.scoresPrompt && !decode
  const logits = isScored ? 'all' : drawsToken(share) ? 'last' : 'none'
  return { slot, tokens, position, decode, logits }
}

/** Adds the sample rows of a share; `last` is the row of logits of its last token. */
function addRows(share: Share, last: number | undefined, samples: SampleRow[]): Part {
  const { sequence, slot, position, count, decode } = share
  const { request, scoresPrompt } = sequence
  const { prompt } = request
  const firstRow = samples.length
  const end = position + count
  let scores = 0
  if (scoresPrompt && !decode) {
    // Row r holds the logits of the prompt token after it; the last one's are for drawing.
    for (let at = position + 1; at <= Math.min(end, prompt.length - 1); at++, scores++) {
      const logitRow = last! - (count - 1) + scores
      samples.push({ ...SCORE, logitRow, slot, target: prompt[at], top: request.promptLogprobs })
    }
  }
  const draws = drawsToken(share)
  if (draws) {
    invariant(last !== undefined, `no logits for ${request.id}`)
    samples.push({
      ...sequence.sampling,
      logitRow: last,
      slot,
      top: request.logprobs,
      random: randomBits(sequence.seed, sequence.sampled - 1),
    })
  }
  return { sequence, firstRow, scores, draws, complete: isComplete(share) }
}

/** A row that only scores a token. */
const SCORE = {
  ...samplingFields({ temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }),
  random: 0,
}

/** The states of samples that begin with the end of another's prompt. */
function forks(shares: readonly Share[], { copies }: PrefixAdmission): Copy[] {
  const slots = new Map<number, number[]>()
  for (const { slot, copyOf } of shares) {
    if (!copyOf) continue
    const others = slots.get(copyOf.slot)
    if (others) others.push(slot)
    else slots.set(copyOf.slot, [slot])
  }
  // The copies draw their own first tokens before this; only their states come from the other slot.
  return [...slots].flatMap(([slot, others]) => copies.share(slot, others))
}

/** The states of prompts at positions where they are kept for later requests. */
function snapshots(
  shares: readonly Share[],
  logitRows: ReadonlyMap<Share, number>,
  admission: PrefixAdmission,
): Copy[] {
  return shares.flatMap((share) => {
    const { sequence, slot, position, count, decode } = share
    const end = position + count
    if (decode || count === 0 || !admission.keeps(sequence, end)) return []
    const withLogits = drawsToken(share)
    const row = admission.cache.put(queryOf(sequence), end, withLogits)
    if (row === undefined) return []
    sequence.cache.written = end - sequence.cache.read
    return admission.copies.save(slot, row, withLogits ? logitRows.get(share) : undefined)
  })
}
