// POST /v1/responses and what may be asked of responses that were stored.

import type { Context } from 'hono'
import type { Output } from '../../engine/request.ts'
import { chatLogprobs, tokensOfText } from '../chat/logprobs.ts'
import { type Reply, ReplyReader } from '../chat/replies.ts'
import { maxTokensOf } from '../chat/schema.ts'
import { showsMarks } from '../chat/tool-calls.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { hungUp, toApiError } from '../errors.ts'
import type { Batch } from '../generation/batch.ts'
import { readBody } from '../generation/body.ts'
import { tokenNames } from '../generation/logprobs.ts'
import { checkAtDoor, startGenerations } from '../generation/requests.ts'
import { batchStream } from '../generation/stream.ts'
import { usageOf } from '../generation/usage.ts'
import { resolveModel } from '../system/models.ts'
import { contextOf, type ResponseContext } from './conversation.ts'
import { newId } from './items.ts'
import type { ResponseFrame, ResponseObject, ResponseUsage } from './response.ts'
import { parseResponsesBody, toGenerationFields, wantedLogprobs } from './schema.ts'
import { toMessages } from './turns.ts'
import { type ResponseEvent, ResponseWriter } from './writer.ts'

/** Handles POST /v1/responses. Everything is checked and admitted before the status is sent. */
export async function createResponse(c: Context<AppEnv>, server: ServerContext): Promise<Response> {
  const given = await readBody(c, server, parseResponsesBody)
  const body = { ...given, store: given.store && server.limits.maxStoredResponses > 0 }
  const model = resolveModel(body.model, server.model)
  const fields = toGenerationFields(body)
  checkAtDoor(1, { count: 1, field: 'n' }, fields, server)
  const context = contextOf(body, server)
  const id = newId('resp')
  const batch = await startGenerations(c, server, {
    id,
    body: showsMarks(fields, context.use, context.style),
    prompts: [context.prompt],
    samples: 1,
    maxTokens: (promptTokens) =>
      maxTokensOf({ max_tokens: body.max_output_tokens }, promptTokens, server.model.maxModelLen),
    logprobs: wantedLogprobs(body),
    structure: context.structure,
  })
  const sampling = {
    temperature: body.temperature ?? server.model.sampling?.temperature ?? 1,
    topP: body.top_p ?? server.model.sampling?.topP ?? 1,
  }
  const createdAt = Math.floor(Date.now() / 1000)
  const answer: Answer = { frame: { id, createdAt, model, body, sampling }, context, batch }
  return body.stream ? streamedReply(c, server, answer) : wholeReply(c, server, answer)
}

/** A response whose generation runs. */
interface Answer {
  frame: ResponseFrame
  context: ResponseContext
  batch: Batch
}

async function wholeReply(
  c: Context<AppEnv>,
  server: ServerContext,
  answer: Answer,
): Promise<Response> {
  const response = await follow(c, server, answer, () => {})
  if (response === undefined) return hungUp()
  return Response.json(response)
}

function streamedReply(c: Context<AppEnv>, server: ServerContext, answer: Answer): Response {
  return batchStream(c, server, answer.batch, {
    isTyped: true,
    async run(send) {
      await follow(c, server, answer, send)
    },
  })
}

/** Builds a response while it is generated, and stores it; undefined if the client left. */
async function follow(
  c: Context<AppEnv>,
  server: ServerContext,
  { frame, context, batch }: Answer,
  send: (event: ResponseEvent) => void,
): Promise<ResponseObject | undefined> {
  const { body } = frame
  const writer = new ResponseWriter(frame, send)
  const reader = new ReplyReader(context.use, context.style)
  const count = wantedLogprobs(body)
  const name = tokenNames(server.tokenizer, false)
  let finish: Output['finish']
  const tokensOf = (reply: Reply) => {
    if (count === undefined) return []
    const tokens = tokensOfText(reply, body.include_stop_str_in_output)
    return chatLogprobs(tokens, count, server.tokenizer, name).content
  }
  try {
    writer.start()
    await batch.follow((_, output) => {
      const reply = reader.add(output)
      finish = output.finish
      if (!reply) return
      // The tokens of calls are none of a text.
      if (reply.text !== '' || reply.calls.length === 0) {
        writer.addText(reply.text, tokensOf(reply))
      }
      for (const call of reply.calls) writer.addCall(call)
    })
  } catch (error) {
    batch.abort()
    // A stream has begun with status 200: its events say what happened.
    if (!body.stream) throw error
    writer.fail(toApiError(error, c).body().error)
    return undefined
  }
  if (finish === undefined) return undefined
  const status = finish.reason === 'length' ? 'incomplete' : 'completed'
  const response = writer.finish(status, usageFor(c))
  if (body.store) keep(c, server, response, context)
  return response
}

/** Stores a response, as far as there is room: the client has its answer by now. */
function keep(
  c: Context<AppEnv>,
  { responses }: ServerContext,
  response: ResponseObject,
  { input, messages, prompt }: ResponseContext,
): void {
  const { id } = response
  const isKept = responses.add({
    id,
    response,
    input,
    messages: [...messages, ...toMessages(response.output)],
    prompt: Uint32Array.from(prompt.tokens),
    promptEnds: prompt.ends,
  })
  if (isKept) return
  const { bytes } = responses.limits
  c.get('record').log.warn('a response is too large to be stored', { response: id, limit: bytes })
}

function usageFor(c: Context<AppEnv>): ResponseUsage {
  const usage = usageOf(c.get('record'))
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: usage.prompt_tokens_details,
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.total_tokens,
  }
}
