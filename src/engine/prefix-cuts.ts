// Where the computation of a prompt stops for a snapshot of its state. Pure arithmetic.
import { CHUNK } from '../gpu/step.ts'

/** Distance of the first rungs of the ladder; shorter prompts have none, and no tail. */
const RUNG = 512

/** A prompt for which snapshots are planned; positions count tokens from its start. */
export interface CutPlan {
  /** Tokens of the prompt. */
  length: number
  /** Position of the snapshot that the computation starts from; 0: none. */
  from: number
  /** Positions that the caller asked for, ascending. */
  breakpoints: readonly number[]
  /** Multiple of 64 up to which the prompt equals one seen before; 0 if there is none. */
  branch?: number
}

/**
 * The highest rung of the ladder at or below a position; 0 below the first. Rungs are the multiples
 * of 512 up to 8,192; beyond that eight for each doubling, evenly spaced between powers of two. So
 * what follows the last rung is at most 511 tokens, or less than an eighth of the position.
 */
export function ladderCut(position: number): number {
  const step = ladderStep(position)
  return Math.floor(position / step) * step
}

/** An eighth of the largest power of two up to `position`, 512 at least. */
function ladderStep(position: number): number {
  return Math.max(RUNG, 2 ** (28 - Math.clz32(position)))
}

function nextRung(position: number): number {
  return ladderCut(position) + ladderStep(position)
}

/**
 * Positions between `from` and the prompt's end where snapshots are taken, ascending. The end always
 * gives one and is not listed. They are
 * - the caller's breakpoints, exactly;
 * - the rungs of the ladder, so that a prompt that leaves this one anywhere finds a state close by;
 * - the tail, which is the last multiple of 64, of prompts of 512 tokens and more that do not end at
 *   one: a conversation that goes on finds a state there whose use leaves no trace in the rounding;
 * - the branch, so that the third prompt that begins like two before it finds all they share.
 *
 * Each cut may cost its prompt a step, so near-duplicates are left out: rungs and branches are made
 * from 64 tokens past `from` on. All but breakpoints are multiples of 64 and thus at least 64 apart,
 * and only the tail and the branch can lie closer than that to the prompt's end.
 */
export function planCuts({ length, from, breakpoints, branch = 0 }: CutPlan): number[] {
  const cuts = new Set(breakpoints)
  for (let rung = nextRung(from + CHUNK - 1); rung < length; rung = nextRung(rung)) cuts.add(rung)
  if (length >= RUNG) cuts.add(length - (length % CHUNK))
  if (branch >= from + CHUNK) cuts.add(branch)
  return [...cuts].filter((cut) => cut > from && cut < length).sort((a, b) => a - b)
}

/**
 * Breakpoints below `position` that are no multiples of 64. Only these change how the state at
 * `position` is rounded, as prompts are cut at multiples of 64 anyway.
 */
export function unalignedCuts(breakpoints: readonly number[], position: number): number[] {
  return breakpoints.filter((cut) => cut < position && cut % CHUNK !== 0)
}
