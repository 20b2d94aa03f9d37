// POST /tokenize and /detokenize: token ids of a text and back, in the forms of vLLM (`prompt` or
// `messages`) and of llama-server (`content`).

import type { Context } from 'hono'
import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import { messagesField } from '../chat/messages.ts'
import { conversationOf, requireChatTemplate } from '../chat/prompt.ts'
import { toolFields } from '../chat/tools.ts'
import type { AppEnv, PromptTokenizer, ServerContext } from '../context.ts'
import { badField } from '../fields/errors.ts'
import { parseFields } from '../fields/generation.ts'
import { text, truth } from '../fields/kinds.ts'
import { tokenIds } from '../fields/sampling.ts'
import { readBody } from '../generation/body.ts'
import { resolveModel } from './models.ts'

/** Keeps a long list from being checked id by id. */
const MAX_TOKENS = 2 ** 20

/** Where the text may stand. */
const SOURCES = ['prompt', 'content', 'messages'] as const

const someText = z.string('a string')

/** Body of POST /tokenize. An empty text is fine: it has no tokens but those around it. */
export const tokenizeBody = z.looseObject({
  model: text(1024).optional(),
  prompt: someText.optional(),
  content: someText.optional(),
  messages: messagesField.optional(),
  tools: toolFields.tools,
  add_generation_prompt: truth.optional(),
  continue_final_message: truth.default(false),
  chat_template_kwargs: z.looseObject({}, 'an object').default({}),
  add_special_tokens: truth.optional(),
  add_special: truth.optional(),
  parse_special: z.literal(true, 'true').optional(),
  return_token_strs: truth.default(false),
  with_pieces: truth.default(false),
})

/** Body of POST /detokenize. */
export const detokenizeBody = z.looseObject({
  model: text(1024).optional(),
  tokens: tokenIds(0, MAX_TOKENS),
  skip_special_tokens: truth.default(false),
})

/** Handles POST /tokenize: ids, their number, and what each stands for if asked for. */
export async function tokenize(c: Context<AppEnv>, server: ServerContext): Promise<Response> {
  const { tokenizer, model } = server
  const body = await readBody(c, server, (raw) => parseFields(tokenizeBody, raw))
  resolveModel(body.model, model)
  const { value, param } = textOf(body, server)
  if (!value.isWellFormed()) {
    throw new ApiError(400, `${param} has an unpaired surrogate (half a character)`, { param })
  }
  // Each server's own default: vLLM adds what the model expects around a text, llama-server does not.
  const addSpecialTokens = body.add_special_tokens ?? body.add_special ?? param === 'prompt'
  const ids = tokenizer.encode(value, { addSpecialTokens })
  return Response.json({
    count: ids.length,
    max_model_len: model.maxModelLen ?? null,
    tokens: body.with_pieces ? ids.map((id) => ({ id, piece: pieceOf(id, tokenizer) })) : ids,
    token_strs: body.return_token_strs ? ids.map((id) => tokenizer.display(id)) : null,
  })
}

/** Handles POST /detokenize: the text of ids, under the names of both servers. */
export async function detokenize(c: Context<AppEnv>, server: ServerContext): Promise<Response> {
  const { tokenizer, model } = server
  const body = await readBody(c, server, (raw) => parseFields(detokenizeBody, raw))
  resolveModel(body.model, model)
  const foreign = body.tokens.findIndex((id) => id >= tokenizer.vocabSize)
  if (foreign >= 0) {
    const expected = `a token id from 0 to ${tokenizer.vocabSize - 1}`
    throw badField(`tokens.${foreign}`, expected, body.tokens[foreign])
  }
  const skipSpecialTokens = body.skip_special_tokens
  const decoded = tokenizer.decode(body.tokens, { skipSpecialTokens })
  return Response.json({ prompt: decoded, content: decoded })
}

type TokenizeBody = z.output<typeof tokenizeBody>

/** The text and the field that it came from, which is exactly one. */
function textOf(body: TokenizeBody, server: ServerContext): { value: string; param: string } {
  const given = SOURCES.filter((name) => body[name] !== undefined)
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none' : given.join(' and ')
    const message = `one of ${SOURCES.join(', ')} is required, found ${found}`
    throw new ApiError(400, message, { param: given[1] ?? 'prompt' })
  }
  const [param] = given
  const { prompt, content, messages } = body
  if (messages === undefined) return { value: prompt ?? content ?? '', param }
  const template = requireChatTemplate(server)
  return { value: template.render(conversationOf({ ...body, messages })), param }
}

/** As llama-server has it: text, or the bytes of a part of a character. */
function pieceOf(id: number, tokenizer: PromptTokenizer): string | number[] {
  const bytes = tokenizer.bytes(id)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return [...bytes]
  }
}
