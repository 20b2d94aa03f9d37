// POST /v1/completions: body to generations, generations to one reply or to a stream of chunks.

import type { Context } from 'hono'
import type { PromptLogprob } from '../../engine/request.ts'
import { ApiError } from '../../errors.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { hungUp } from '../errors.ts'
import type { Batch } from '../generation/batch.ts'
import { readBody } from '../generation/body.ts'
import { type Envelope, envelope } from '../generation/envelope.ts'
import { checkAtDoor, startGenerations } from '../generation/requests.ts'
import { bestSamples, PendingPiece, type Piece, Sample } from '../generation/samples.ts'
import { streamReply } from '../generation/stream.ts'
import { truncationOf } from '../generation/truncation.ts'
import { usageOf } from '../generation/usage.ts'
import { resolveModel } from '../system/models.ts'
import { ChoiceWriter } from './choices.ts'
import { type EncodedPrompt, encodePrompts, parsePrompts } from './prompts.ts'
import { type CompletionBody, parseCompletionBody } from './schema.ts'

/** Handles POST /v1/completions. Everything is checked and admitted before the status is sent. */
export async function createCompletion(
  c: Context<AppEnv>,
  server: ServerContext,
): Promise<Response> {
  const { tokenizer, limits } = server
  const body = await readBody(c, server, parseCompletionBody)
  const model = resolveModel(body.model, server.model)
  const given = parsePrompts(body.prompt, tokenizer.vocabSize, limits.maxPrompts)
  const samples = { count: body.best_of, field: body.best_of > body.n ? 'best_of' : 'n' } as const
  checkAtDoor(given.length, samples, body, server)
  const prompts = encodePrompts(given, tokenizer, {
    addSpecialTokens: body.add_special_tokens,
    truncation: truncationOf(body, body.max_tokens, server.model),
    breakpoints: body.prompt_cache_breakpoint,
  })
  checkScores(body, prompts)

  const keys = envelope(c, server, {
    ...{ prefix: 'cmpl', object: 'text_completion', model },
    requestId: body.request_id,
  })
  const batch = await startGenerations(c, server, {
    id: keys.id,
    body,
    prompts,
    samples: body.best_of,
    maxTokens: () => body.max_tokens,
    // Ranking needs the log-probability of each chosen token.
    logprobs: body.logprobs ?? (body.best_of > body.n ? 0 : undefined),
    promptLogprobs: wantedScores(body),
  })
  const writer = new ChoiceWriter(body, prompts, tokenizer)
  return body.stream
    ? streamedReply(c, server, keys, batch, writer)
    : wholeReply(c, keys, batch, writer)
}

type Keys = Envelope<'text_completion'>

/** Log-probabilities of prompt tokens in one reply; so many are about 100 MB of JSON. */
const MAX_SCORES = 4_000_000

/** Alternatives beside each prompt token; undefined: prompts are not scored. */
function wantedScores({ echo, logprobs, prompt_logprobs }: CompletionBody): number | undefined {
  const echoed = echo ? logprobs : undefined
  if (echoed === undefined) return prompt_logprobs
  return Math.max(echoed, prompt_logprobs ?? 0)
}

/** What a reply says of every prompt token is bounded, as bodies are. */
function checkScores(body: CompletionBody, prompts: readonly EncodedPrompt[]): void {
  const wanted = wantedScores(body)
  if (wanted === undefined) return
  const tokens = prompts.reduce((sum, prompt) => sum + prompt.tokens.length, 0)
  const scores = tokens * body.n * (wanted + 1)
  if (scores <= MAX_SCORES) return
  const message =
    `prompt tokens times n times alternatives is ${scores}; at most ${MAX_SCORES} can be reported ` +
    'in one reply: send fewer prompts, or ask for fewer alternatives'
  throw new ApiError(400, message, { param: 'logprobs' })
}

async function wholeReply(
  c: Context<AppEnv>,
  keys: Keys,
  batch: Batch,
  writer: ChoiceWriter,
): Promise<Response> {
  const { n, best_of: bestOf } = writer.body
  const samples = Array.from({ length: batch.size }, () => new Sample())
  await batch.follow((index, output) => samples[index].add(output))
  if (c.req.raw.signal.aborted) return hungUp()
  // A prompt is scored once, for the first of its samples.
  const scores = samples.filter((_, index) => index % bestOf === 0).map((s) => s.promptLogprobs)
  const choices = bestSamples(samples, n, bestOf).map((sample, index) =>
    writer.write(index, sample, { scores: scores[Math.floor(index / n)] }),
  )
  return Response.json({ ...keys, choices, usage: usageOf(c.get('record')) })
}

/** Text chunks as they come, a last chunk per choice, and the usage if asked for. */
function streamedReply(
  c: Context<AppEnv>,
  server: ServerContext,
  keys: Keys,
  batch: Batch,
  writer: ChoiceWriter,
): Response {
  const { body } = writer
  const isScored = wantedScores(body) !== undefined
  const pending = Array.from({ length: batch.size }, () => new PendingPiece())
  const opened = new Set<number>()
  /** By prompt; samples that overtake the one that is scored wait for it. */
  const scores = new Map<number, readonly PromptLogprob[]>()
  const waiting: { index: number; piece: Piece }[] = []

  return streamReply(c, server, keys, batch, body.stream_options, (send) => {
    const sendPiece = (index: number, piece: Piece) => {
      const prompt = Math.floor(index / body.n)
      const opening = opened.has(index) ? undefined : { scores: scores.get(prompt) }
      opened.add(index)
      const hasText = piece.text !== '' || (opening !== undefined && body.echo)
      // The chunk that ends a choice has no text of its own.
      if (hasText) send(writer.write(index, { ...piece, finish: undefined }, opening))
      if (piece.finish === undefined) return
      const rest = { text: '', tokens: hasText ? [] : piece.tokens, finish: piece.finish }
      send(writer.write(index, rest, hasText ? undefined : opening))
    }
    return (index, output) => {
      const prompt = Math.floor(index / body.n)
      if (output.promptLogprobs) scores.set(prompt, output.promptLogprobs)
      const piece = pending[index].add(output)
      if (piece) waiting.push({ index, piece })
      for (const next of waiting.splice(0)) {
        const isReady = !isScored || scores.has(Math.floor(next.index / body.n))
        if (isReady) sendPiece(next.index, next.piece)
        else waiting.push(next)
      }
    }
  })
}
