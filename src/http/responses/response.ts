// The response object: what was asked, what came of it.

import type { ToolCall } from '../chat/replies.ts'
import { type CallItem, type ItemStatus, newId } from './items.ts'
import type { ResponsesBody } from './schema.ts'

/** A token of the answer as the responses and chat APIs list it. */
export interface AnswerToken {
  token: string
  logprob: number
  bytes: number[]
  top_logprobs: { token: string; logprob: number; bytes: number[] }[]
}

export interface OutputText {
  type: 'output_text'
  text: string
  annotations: never[]
  logprobs: AnswerToken[]
}

export interface MessageItem {
  id: string
  type: 'message'
  status: ItemStatus
  role: 'assistant'
  content: OutputText[]
}

export type OutputItem = MessageItem | CallItem

export interface ResponseUsage {
  input_tokens: number
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number }
  output_tokens: number
  output_tokens_details: { reasoning_tokens: number }
  total_tokens: number
}

/** How a response ended, as far as it has. */
export interface Outcome {
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  output: OutputItem[]
  usage?: ResponseUsage
  error?: { code: string; message: string }
}

/** What stays the same from the first event of a response to the last. */
export interface ResponseFrame {
  id: string
  /** Seconds since 1970. */
  createdAt: number
  model: string
  body: ResponsesBody
  /** What the request left open and the checkpoint decides. */
  sampling: { temperature: number; topP: number }
}

/** The object with every key of OpenAI's, also those that are always the same here. */
export function responseObject(frame: ResponseFrame, outcome: Outcome) {
  const { body } = frame
  const { status, output, usage, error } = outcome
  return {
    id: frame.id,
    object: 'response' as const,
    created_at: frame.createdAt,
    completed_at: status === 'completed' ? Math.floor(Date.now() / 1000) : null,
    status,
    background: false,
    error: error ?? null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: frame.model,
    output,
    parallel_tool_calls: body.parallel_tool_calls,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: body.store,
    temperature: frame.sampling.temperature,
    text: { ...body.text, format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools,
    top_logprobs: body.top_logprobs ?? 0,
    top_p: frame.sampling.topP,
    truncation: body.truncation,
    usage: usage ?? null,
    metadata: body.metadata ?? {},
  }
}

export type ResponseObject = ReturnType<typeof responseObject>

export function messageItem(id: string, status: ItemStatus, content: OutputText[]): MessageItem {
  return { id, type: 'message', status, role: 'assistant', content }
}

export function outputText(text: string, logprobs: AnswerToken[]): OutputText {
  return { type: 'output_text', text, annotations: [], logprobs }
}

export function callItem(call: ToolCall, status: ItemStatus, id = newId('fc')): CallItem {
  const { name, arguments: args } = call.function
  return { id, type: 'function_call', status, call_id: call.id, name, arguments: args }
}
