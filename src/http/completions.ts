// POST /v1/completions: body to generations, generations to one reply or to a stream of chunks.

import type { Context } from 'hono'
import type { FinishReason } from '../engine/request.ts'
import { Batch } from './batch.ts'
import type { AppEnv, ServerContext } from './context.ts'
import { toApiError } from './errors.ts'
import { readJsonObject } from './json-body.ts'
import { parsePrompts } from './prompts.ts'
import { admit, toRequests } from './requests.ts'
import { bestSamples, Sample } from './samples.ts'
import { checkTokenIds } from './sampling-fields.ts'
import { type CompletionBody, parseCompletionBody } from './schemas.ts'
import { eventStream } from './sse.ts'
import { resolveModel } from './system.ts'
import { usageOf } from './usage.ts'

/** The keys that the reply and every chunk share. */
interface Envelope {
  id: string
  object: 'text_completion'
  created: number
  model: string
  system_fingerprint: string
}

interface Choice {
  index: number
  text: string
  logprobs: null
  finish_reason: FinishReason | null
}

/** Handles POST /v1/completions. Everything is checked and admitted before the status is sent. */
export async function createCompletion(
  c: Context<AppEnv>,
  server: ServerContext,
): Promise<Response> {
  const { engine, tokenizer, limits } = server
  const record = c.get('record')
  const { body, ignored } = parseCompletionBody(
    await readJsonObject(c.req.raw, limits.maxBodyBytes),
  )
  if (ignored.length > 0) record.log.debug('ignored fields', { fields: ignored.slice(0, 20) })
  const model = resolveModel(body.model, server.model)
  const prompts = parsePrompts(body.prompt, tokenizer.vocabSize, limits.maxPrompts)
  checkTokenIds(body, tokenizer.vocabSize)
  admit(prompts.length, body, server)

  const envelope: Envelope = {
    id: `cmpl-${c.get('requestId')}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: `glaze-${server.version}-${server.model.ids[0]}`,
  }
  const requests = toRequests(envelope.id, prompts, body, server)
  const batch = Batch.submit(engine, requests, record, c.req.raw.signal)
  if (!body.stream) return wholeReply(c, envelope, batch, body)
  const includesUsage = body.stream_options?.include_usage === true
  return streamedReply(c, envelope, batch, includesUsage, limits.pingIntervalMs)
}

async function wholeReply(
  c: Context<AppEnv>,
  envelope: Envelope,
  batch: Batch,
  { n, best_of: bestOf }: CompletionBody,
): Promise<Response> {
  const samples = Array.from({ length: batch.size }, () => new Sample())
  await batch.follow((index, output) => samples[index].add(output))
  // Nobody is left to read the reply; the status is for the log.
  if (c.req.raw.signal.aborted) return new Response(undefined, { status: 499 })
  const choices = bestSamples(samples, n, bestOf).map(({ text, finishReason }, index) =>
    choice(index, text, finishReason),
  )
  return Response.json({ ...envelope, choices, usage: usageOf(c.get('record')) })
}

/** Text chunks as they come, a last chunk per choice, and the usage if asked for. */
function streamedReply(
  c: Context<AppEnv>,
  envelope: Envelope,
  batch: Batch,
  includesUsage: boolean,
  pingIntervalMs: number,
): Response {
  const record = c.get('record')
  record.isStreaming = true
  const earlyUsage = includesUsage ? { usage: null } : {}
  return eventStream({
    pingIntervalMs,
    async run(send) {
      const sendChoice = (chunk: Choice) => send({ ...envelope, choices: [chunk], ...earlyUsage })
      await batch.follow((index, { text, finish }) => {
        if (text !== '') sendChoice(choice(index, text))
        if (finish !== undefined) sendChoice(choice(index, '', finish.reason))
      })
      if (includesUsage) send({ ...envelope, choices: [], usage: usageOf(record) })
    },
    errorBody: (error) => toApiError(error, c.get('requestId'), record.log).body(),
    onCancel: () => batch.abort(),
    onEnd: () => record.end(200),
  })
}

function choice(index: number, text: string, reason?: FinishReason): Choice {
  return { index, text, logprobs: null, finish_reason: reason ?? null }
}
