// POST /v1/chat/completions: messages to generations, generations to one reply or to a stream.

import type { Context } from 'hono'
import type { AppEnv, ServerContext, ToolCallStyle } from '../context.ts'
import { hungUp } from '../errors.ts'
import type { Batch } from '../generation/batch.ts'
import { readBody } from '../generation/body.ts'
import { type Envelope, envelope } from '../generation/envelope.ts'
import { promptAlternatives } from '../generation/prompt-logprobs.ts'
import { checkAtDoor, type PromptTokens, startGenerations } from '../generation/requests.ts'
import { Sample } from '../generation/samples.ts'
import { streamReply } from '../generation/stream.ts'
import { truncationOf } from '../generation/truncation.ts'
import { usageOf } from '../generation/usage.ts'
import { resolveModel } from '../system/models.ts'
import { ChatWriter } from './choices.ts'
import { breakpointPlaces } from './messages.ts'
import { conversationOf, encodeConversation, requireChatTemplate } from './prompt.ts'
import { ReplyReader } from './replies.ts'
import { askedTokens, type ChatBody, maxTokensOf, parseChatBody } from './schema.ts'
import { showsMarks } from './tool-calls.ts'
import { checkTemplateKnowsTools, forcedCalls, type ToolUse, toolUse } from './tools.ts'

/** Handles POST /v1/chat/completions. Everything is checked and admitted before the status is sent. */
export async function createChatCompletion(
  c: Context<AppEnv>,
  server: ServerContext,
): Promise<Response> {
  const body = await readBody(c, server, parseChatBody)
  const model = resolveModel(body.model, server.model)
  const template = requireChatTemplate(server)
  const use = toolUse(body)
  checkTemplateKnowsTools(use, template)
  checkAtDoor(1, { count: body.n, field: 'n' }, body, server)
  const { maxModelLen } = server.model
  const prompt = encodeConversation(conversationOf(body), template, server.tokenizer, {
    addSpecialTokens: body.add_special_tokens,
    truncation: truncationOf(body, askedTokens(body) ?? 1, server.model),
    breakpoints: breakpointPlaces(body.messages),
  })

  const fields = showsMarks(body, use, template.toolCallStyle)
  const keys = envelope(c, server, {
    ...{ prefix: 'chatcmpl', object: objectOf(body), model },
    requestId: body.request_id,
  })
  const batch = await startGenerations(c, server, {
    id: keys.id,
    body: { ...fields, cache_salt: body.cache_salt ?? body.prompt_cache_key },
    prompts: [prompt],
    samples: body.n,
    maxTokens: (promptTokens) => maxTokensOf(body, promptTokens, maxModelLen),
    logprobs: body.logprobs ? body.top_logprobs : undefined,
    promptLogprobs: body.prompt_logprobs,
    structure: forcedCalls(use),
  })
  const chat = { keys, batch, prompt, use, style: template.toolCallStyle }
  const writer = new ChatWriter(body, use, server.tokenizer)
  return body.stream ? streamedReply(c, server, chat, writer) : wholeReply(c, chat, writer)
}

type ChatObject = 'chat.completion' | 'chat.completion.chunk'

/** A chat whose generations run. */
interface Chat {
  keys: Envelope<ChatObject>
  batch: Batch
  prompt: PromptTokens
  use: ToolUse | undefined
  style: ToolCallStyle
}

function objectOf({ stream }: ChatBody): ChatObject {
  return stream ? 'chat.completion.chunk' : 'chat.completion'
}

async function wholeReply(c: Context<AppEnv>, chat: Chat, writer: ChatWriter): Promise<Response> {
  const { keys, batch, prompt, use, style } = chat
  const { return_token_ids: returnsIds, prompt_logprobs: count } = writer.body
  const samples = Array.from({ length: batch.size }, () => new Sample())
  await batch.follow((index, output) => samples[index].add(output))
  if (c.req.raw.signal.aborted) return hungUp()
  const choices = samples.flatMap((sample, index) => {
    const reply = new ReplyReader(use, style).add(sample)
    return reply ? [writer.choice(index, reply)] : []
  })
  const scores = samples[0].promptLogprobs
  return Response.json({
    ...keys,
    choices,
    usage: usageOf(c.get('record')),
    ...(returnsIds && { prompt_token_ids: prompt.tokens }),
    ...(count !== undefined &&
      scores && { prompt_logprobs: promptAlternatives(scores, count, writer.tokenizer) }),
  })
}

/** A first chunk per choice at once, text and calls as they come, a last one per choice. */
function streamedReply(
  c: Context<AppEnv>,
  server: ServerContext,
  chat: Chat,
  writer: ChatWriter,
): Response {
  const { keys, batch, prompt, use, style } = chat
  const { stream_options: options, return_token_ids: returnsIds } = writer.body
  const readers = Array.from({ length: batch.size }, () => new ReplyReader(use, style))
  return streamReply(c, server, keys, batch, options, (send) => {
    for (const index of readers.keys()) {
      const first = returnsIds && index === 0
      send(writer.opening(index), first ? { prompt_token_ids: prompt.tokens } : {})
    }
    return (index, output) => {
      const reader = readers[index]
      const reply = reader.add(output)
      if (!reply) return
      for (const chunk of writer.chunks(index, reply, reader.hasCalls)) send(chunk)
    }
  })
}
