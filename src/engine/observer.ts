// What the engine tells whoever watches it, for metrics. Every call is made while a step's results are
// handed out, so it must be quick and must not throw.
import type { Sequence } from './sequence.ts'

/** A step that has come back. */
export interface StepFigures {
  sequences: number
  /** Tokens that it computed, of prompts and drawn before. */
  tokens: number
  /** Seconds on the host's clock in which the GPU worked on it and on no step before it. */
  seconds: number
  /** `prefill` if it holds prompt tokens. */
  phase: 'prefill' | 'decode'
}

export interface EngineObserver {
  step(step: StepFigures): void
  /** A prompt has been read to its end, once for all samples of it; `cached` of its tokens were there. */
  prompt(prompt: { tokens: number; cached: number }): void
  /** A token was handed out, so long after the one before; undefined: the first of its generation. */
  token(secondsSinceLast: number | undefined): void
  /** A generation has ended. Seconds to its slot, its first token and its last; undefined: not so far. */
  ended(seconds: { queue?: number; prefill?: number; decode?: number }): void
}

/** Moments of one sequence, in milliseconds on the engine's clock. */
export interface Moments {
  /** When it had its slot. */
  admitted?: number
  firstToken?: number
  lastToken?: number
}

/** Notes that a token of a sequence is handed out now. */
export function noteToken(sequence: Sequence, observer: EngineObserver | undefined): void {
  if (observer === undefined) return
  const { moments } = sequence
  const now = performance.now()
  const last = moments.lastToken
  observer.token(last === undefined ? undefined : (now - last) / 1000)
  moments.firstToken ??= now
  moments.lastToken = now
}

/** Notes the end of a sequence. */
export function noteEnd(
  { arrival, moments }: Sequence,
  observer: EngineObserver | undefined,
): void {
  if (observer === undefined) return
  const { admitted, firstToken, lastToken } = moments
  observer.ended({
    queue: span(arrival, admitted),
    prefill: span(admitted, firstToken),
    decode: span(firstToken, lastToken),
  })
}

function span(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : (to - from) / 1000
}
