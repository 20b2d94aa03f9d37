// From the results of a step to the outputs of its requests: scores of prompts, drawn tokens, text
// that became certain, and why a generation ended.
import { ApiError } from '../errors.ts'
import { RESULT_WORDS } from '../gpu/ops/sample.ts'
import type { FinishReason, Output, OutputToken, TokenLogprob } from './request.ts'
import { readResult, type SampleResult } from './sampler.ts'
import type { Sequence } from './sequence.ts'
import type { Part } from './step-builder.ts'

/** What handing out results needs of the engine. */
export interface Reporter {
  /** Any of these ends a generation. */
  eosTokenIds: readonly number[]
  /** Frees the sequence's slot. */
  end(sequence: Sequence): void
  onError?: (message: string, error: unknown) => void
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
      const isOurs = !(error instanceof ApiError)
      if (isOurs) reporter.onError?.(`request ${sequence.request.id} failed`, error)
      reporter.end(sequence)
      const message = `generation failed: ${error instanceof Error ? error.message : error}`
      sequence.stream.fail(isOurs ? new ApiError(500, message) : error)
    }
  }
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
  if (!draws) {
    finish(
      sequence,
      { text: '', tokens: [], promptLogprobs, finish: { reason: 'length' } },
      reporter,
    )
    return
  }
  const token = read(results, firstRow + scores, request.logprobs)
  sequence.generated.push(token.id)
  const { text, finish: end } = advanceText(sequence, token.id, reporter.eosTokenIds)
  const output: Output = { text, tokens: [token], promptLogprobs, finish: end }
  if (end) finish(sequence, output, reporter)
  else sequence.stream.push(output)
}

function finish(sequence: Sequence, output: Output, reporter: Reporter): void {
  reporter.end(sequence)
  sequence.stream.push({ ...output, cache: sequence.cache })
}

/** One row of results; throws for logits that are no numbers and masks that allow nothing. */
function read(
  results: Uint32Array,
  row: number,
  top: number | undefined,
): OutputToken & { top?: TokenLogprob[] } {
  const result: SampleResult = readResult(results, row * RESULT_WORDS, top)
  if (!result.finite) throw new Error('the model computed NaN or infinite logits')
  if (!result.allowed) throw new ApiError(400, 'no token is allowed: every id is banned')
  const { id, logprob } = result
  return top === undefined ? { id } : { id, logprob, top: result.top }
}

/** The text that a token releases, and why the generation ends with it, if it does. */
function advanceText(
  sequence: Sequence,
  id: number,
  eosTokenIds: readonly number[],
): { text: string; finish?: { reason: FinishReason; stop?: string | number } } {
  const { request, text: output } = sequence
  if (eosTokenIds.includes(id) && !request.ignoreEos) {
    const { text, stopped } = output.finish()
    return { text, finish: { reason: 'stop', stop: stopped ?? id } }
  }
  const { text, stopped } = output.push(id)
  if (stopped !== undefined) return { text, finish: { reason: 'stop', stop: stopped } }
  if (sequence.generated.length < sequence.maxTokens) return { text }
  const rest = output.finish()
  const end =
    rest.stopped === undefined
      ? { reason: 'length' as const }
      : { reason: 'stop' as const, stop: rest.stopped }
  return { text: text + rest.text, finish: end }
}
