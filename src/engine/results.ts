// From the results of a step to the outputs of its requests: scores of prompts, drawn tokens, text
// that became certain, and why a generation ended.
import { ApiError } from '../errors.ts'
import { RESULT_WORDS } from '../gpu/ops/sample.ts'
import type { OutputPiece } from '../text/output-text.ts'
import { type EngineObserver, noteToken } from './observer.ts'
import type { GenerationRequest, Output, OutputToken } from './request.ts'
import { readResult, type SampleResult } from './sampler.ts'
import type { Sequence } from './sequence.ts'
import type { Part } from './step-builder.ts'

/** What handing out results needs of the engine. */
export interface Reporter {
  /** Any of these ends a generation. */
  eosTokenIds: readonly number[]
  onError?: (message: string, error: unknown) => void
  observer?: EngineObserver
}

/** Takes every sequence of a step past it. @param results [samples, RESULT_WORDS] u32 */
export function takeResults(
  parts: readonly Part[],
  results: Uint32Array,
  reporter: Reporter,
): void {
  for (const part of parts) {
    const { sequence } = part
    sequence.inFlight--
    // Ended or aborted while the step ran: its slot may be someone else's by now.
    if (sequence.stream.ended) continue
    try {
      takePart(part, results, reporter)
    } catch (error) {
      failSequence(sequence, error, reporter.onError)
    }
  }
}

/** Ends one sequence, and nothing else, with what went wrong. */
export function failSequence(
  { request, stream }: Sequence,
  error: unknown,
  onError: Reporter['onError'],
): void {
  if (stream.ended) return
  if (error instanceof ApiError) {
    stream.fail(error)
    return
  }
  onError?.(`request ${request.id} failed`, error)
  // What went wrong inside is for the log, not for clients.
  const message = 'the generation failed; the log of the server says why'
  stream.fail(new ApiError(500, message, { code: 'internal_error' }))
}

function takePart(part: Part, results: Uint32Array, reporter: Reporter): void {
  const { sequence, firstRow, scores, draws, complete } = part
  const { request } = sequence
  for (let row = firstRow; row < firstRow + scores; row++) {
    const { id, logprob, top } = read(results, row, request.promptLogprobs)
    sequence.promptLogprobs.push({ id, logprob: logprob!, top: top ?? [] })
  }
  if (!complete) return
  const isFirst = sequence.generated.length === sequence.inherited
  const promptLogprobs = sequence.scoresPrompt && isFirst ? sequence.promptLogprobs : undefined
  if (isFirst && !sequence.parent && sequence.inherited === 0) {
    reporter.observer?.prompt({ tokens: request.prompt.length, cached: sequence.cache.read })
  }
  if (!draws) {
    const finish = { reason: 'length' as const }
    const { cache } = sequence
    const queuedMs = queuedMsOf(sequence)
    sequence.stream.push({ text: '', tokens: [], promptLogprobs, finish, cache, queuedMs })
    return
  }
  const token = read(results, firstRow + scores, request.logprobs)
  sequence.generated.push(token.id)
  noteToken(sequence, reporter.observer)
  const { text, offset, finish } = advanceText(sequence, token.id, reporter.eosTokenIds)
  if (!finish) sequence.mask?.accept(token.id)
  const output: Output = { text, tokens: [{ ...token, offset }], promptLogprobs, finish }
  if (finish) {
    output.cache = sequence.cache
    output.queuedMs = queuedMsOf(sequence)
  }
  sequence.stream.push(output)
}

function queuedMsOf({ arrival, moments }: Sequence): number {
  return (moments.admitted ?? arrival) - arrival
}

/** One row of results; throws for logits that are no numbers and masks that allow nothing. */
function read(
  results: Uint32Array,
  row: number,
  top: number | undefined,
): Omit<OutputToken, 'offset'> {
  const result: SampleResult = readResult(results, row * RESULT_WORDS, top)
  if (!result.finite) throw new Error('the model computed NaN or infinite logits')
  if (!result.allowed) throw new ApiError(400, 'no token is allowed: every id is banned')
  const { id, logprob } = result
  return top === undefined ? { id } : { id, logprob, top: result.top }
}

/** The text that a token releases, and why the generation ends with it, if it does. */
function advanceText(
  { request, text: output, generated, maxTokens }: Sequence,
  id: number,
  eosTokenIds: readonly number[],
): OutputPiece & Pick<Output, 'finish'> {
  if (isStopToken(id, request, eosTokenIds)) {
    const piece = output.finishAt(id)
    return { ...piece, finish: { reason: 'stop', stop: piece.stopped ?? id } }
  }
  const piece = output.push(id)
  const { text, stopped } = piece
  if (stopped !== undefined) return { ...piece, finish: { reason: 'stop', stop: stopped } }
  if (generated.length < maxTokens) return piece
  const rest = output.finish()
  const isCut = rest.stopped !== undefined
  const finish: Output['finish'] = isCut
    ? { reason: 'stop', stop: rest.stopped }
    : { reason: 'length' }
  return { ...piece, text: text + rest.text, finish }
}

/** True for a token that ends a generation. At the end of a grammar nothing else can follow. */
function isStopToken(
  id: number,
  { stopTokenIds, ignoreEos, guide }: GenerationRequest,
  eosTokenIds: readonly number[],
): boolean {
  if (stopTokenIds?.includes(id)) return true
  return eosTokenIds.includes(id) && (!ignoreEos || guide !== undefined)
}
