// POST /v1/completions: body to generations, generations to one reply or to a stream of chunks.

import type { Context } from 'hono'
import type { FinishReason, GenerationRequest, SamplingParams } from '../engine/request.ts'
import { ApiError } from '../errors.ts'
import { Batch } from './batch.ts'
import type { AppEnv, ServedModel, ServerContext } from './context.ts'
import { toApiError } from './errors.ts'
import { readJsonObject } from './json-body.ts'
import { encodePrompt, type Prompt, parsePrompts } from './prompts.ts'
import type { RequestRecord } from './request-record.ts'
import { type CompletionBody, parseCompletionBody } from './schemas.ts'
import { eventStream } from './sse.ts'
import { resolveModel } from './system.ts'

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

interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
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
  admit(prompts.length, body.n, server)

  const envelope: Envelope = {
    id: `cmpl-${c.get('requestId')}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: `glaze-${server.version}-${server.model.ids[0]}`,
  }
  const requests = toRequests(envelope.id, prompts, body, server)
  const batch = Batch.submit(engine, requests, record, c.req.raw.signal)
  for (let i = 0; i < requests.length; i += body.n) {
    record.promptTokens += requests[i].prompt.length
  }
  if (!body.stream) return wholeReply(c, envelope, batch, requests.length)
  const includesUsage = body.stream_options?.include_usage === true
  return streamedReply(c, envelope, batch, includesUsage, limits.pingIntervalMs)
}

async function wholeReply(
  c: Context<AppEnv>,
  envelope: Envelope,
  batch: Batch,
  choiceCount: number,
): Promise<Response> {
  const choices = Array.from({ length: choiceCount }, (_, index) => choice(index))
  await batch.follow((index, { text, finish }) => {
    choices[index].text += text
    if (finish !== undefined) choices[index].finish_reason = finish.reason
  })
  // Nobody is left to read the reply; the status is for the log.
  if (c.req.raw.signal.aborted) return new Response(undefined, { status: 499 })
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

/** A prompt counts once, however many samples it gets. */
function usageOf({ promptTokens, completionTokens }: RequestRecord): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}

function choice(index: number, text = '', reason: FinishReason | null = null): Choice {
  return { index, text, logprobs: null, finish_reason: reason }
}

/** Turns a request away while that is cheap: before its prompts are tokenized. */
function admit(prompts: number, n: number, server: ServerContext): void {
  const generations = prompts * n
  const { maxQueue } = server.limits
  const { slots, freeSlots, waiting } = server.engine.stats()
  const room = slots + maxQueue
  if (generations > room) {
    throw new ApiError(400, `prompts times n is ${generations}; at most ${room} are allowed`, {
      param: prompts > 1 ? 'prompt' : 'n',
    })
  }
  if (waiting + generations > freeSlots + maxQueue) {
    throw new ApiError(429, `the queue is full: ${waiting} sequences are waiting`, {
      code: 'queue_full',
      retryAfter: 1,
    })
  }
}

/** One engine request per choice, in the order of the choices: prompt by prompt, n of each. */
function toRequests(
  id: string,
  prompts: readonly Prompt[],
  body: CompletionBody,
  server: ServerContext,
): GenerationRequest[] {
  const sampling = toSampling(body, server.model)
  return prompts.flatMap((given, promptIndex) => {
    const param = prompts.length === 1 ? 'prompt' : `prompt.${promptIndex}`
    const prompt = encodePrompt(given, param, server.tokenizer)
    return Array.from({ length: body.n }, (_, sample) => ({
      id: `${id}-${promptIndex * body.n + sample}`,
      prompt,
      maxTokens: body.max_tokens,
      sampling: { ...sampling, seed: sampleSeed(body.seed, sample) },
      stop: body.stop,
      ignoreEos: body.ignore_eos,
    }))
  })
}

function toSampling(body: CompletionBody, model: ServedModel): SamplingParams {
  const defaults = model.sampling ?? {}
  return {
    temperature: body.temperature ?? defaults.temperature ?? 1,
    topP: body.top_p ?? defaults.topP ?? 1,
    topK: Math.max(0, body.top_k ?? defaults.topK ?? 0),
    minP: body.min_p ?? defaults.minP ?? 0,
    seed: body.seed,
  }
}

/** The samples of one prompt must differ. 53 bits keep the sum exact as a number. */
function sampleSeed(seed: number | undefined, sample: number): number | undefined {
  if (seed === undefined) return undefined
  return Number(BigInt.asUintN(53, BigInt(seed) + BigInt(sample)))
}
