// POST /tokenize and /detokenize as the clients of vLLM and of llama-server use them.

import { describe, expect, test } from 'bun:test'
import type { ChatTemplate } from '../../src/http/context.ts'
import { type Json, testApp } from './test-app.ts'

/** Bytes of a token that is a part of a character, and of one that is a whole one. */
const BYTES: Record<number, number[]> = { 3: [0xe4, 0xbd], 4: [0xe4, 0xbd, 0xa0] }

function ask(path: string, body: unknown, maxModelLen?: number) {
  const { post } = testApp({
    model: { maxModelLen },
    tokenizer: { bytes: (id) => Uint8Array.from(BYTES[id] ?? [0x20]) },
  })
  return post(body, {}, path)
}

const answer = async (path: string, body: unknown, maxModelLen?: number): Promise<Json> => {
  const response = await ask(path, body, maxModelLen)
  expect(response.status).toBe(200)
  return response.json()
}

describe('/tokenize', () => {
  test('as vLLM has it', async () => {
    const body = { model: 'alias', prompt: 'a bc' }
    const reply = { count: 3, max_model_len: 512, tokens: [1, 3, 4], token_strs: null }
    expect(await answer('/tokenize', body, 512)).toEqual(reply)
    expect(await answer('/v1/tokenize', body, 512)).toEqual(reply)
    expect(await answer('/tokenize', { ...body, return_token_strs: true })).toEqual({
      ...reply,
      max_model_len: null,
      token_strs: ['<s>', ' w3', ' w4'],
    })
  })

  test('as llama-server has it', async () => {
    const body = { content: 'a bc' }
    expect((await answer('/tokenize', body)).tokens).toEqual([3, 4])
    expect((await answer('/tokenize', { ...body, with_pieces: true })).tokens).toEqual([
      { id: 3, piece: [0xe4, 0xbd] },
      { id: 4, piece: '你' },
    ])
  })

  test.each<[object, number[]]>([
    [{ prompt: 'a' }, [1, 3]],
    [{ prompt: 'a', add_special_tokens: true }, [1, 3]],
    [{ prompt: 'a', add_special_tokens: false }, [3]],
    [{ content: 'a' }, [3]],
    [{ content: 'a', add_special: true }, [1, 3]],
    [{ content: 'a', add_special: null, parse_special: true }, [3]],
    [{ prompt: '', content: null }, [1, 2]],
  ])('%j is %j', async (body, tokens) => {
    expect(await answer('/tokenize', body)).toMatchObject({ tokens, count: tokens.length })
  })

  test.each<[unknown, number, string | null, string]>([
    [{}, 400, 'prompt', 'one of prompt, content, messages is required, found none'],
    [{ prompt: 'a', content: 'b' }, 400, 'content', 'found prompt and content'],
    [{ prompt: ['a'] }, 400, 'prompt', 'expected a string, found a list of 1'],
    [{ prompt: '\ud800' }, 400, 'prompt', 'unpaired surrogate'],
    [{ prompt: 'a', add_special_tokens: 1 }, 400, 'add_special_tokens', 'true or false'],
    [{ content: 'a', parse_special: false }, 400, 'parse_special', 'expected true'],
    [{ prompt: 'a', model: 'other' }, 404, 'model', 'not served'],
    [[], 400, null, 'an array'],
  ])('%j is %d', async (body, status, param, message) => {
    const response = await ask('/tokenize', JSON.stringify(body))
    expect(response.status).toBe(status)
    const { error } = (await response.json()) as Json
    expect(error.param).toBe(param)
    expect(error.message).toContain(message)
  })

  test('messages go through the chat template, which writes its own special tokens', async () => {
    const conversations: Json[] = []
    const chatTemplate: ChatTemplate = {
      ...{ knowsTools: true, toolCallStyle: 'json', renderUpTo: () => undefined },
      render: (conversation) => {
        conversations.push(conversation)
        return '<s> abc'
      },
    }
    const { post } = testApp({ chatTemplate })
    const body = {
      messages: [{ role: 'user', content: 'hi' }],
      chat_template_kwargs: { mood: 'merry' },
      tools: [{ type: 'function', function: { name: 'f' } }],
    }
    const reply = (await (await post(body, {}, '/tokenize')).json()) as Json
    expect(reply).toMatchObject({ count: 2, tokens: [5, 5] })
    const more = { ...body, add_special_tokens: true, add_generation_prompt: false }
    const longer = (await (await post(more, {}, '/v1/tokenize')).json()) as Json
    expect(longer.tokens).toEqual([1, 5, 5])
    expect(conversations).toEqual([
      {
        messages: [{ role: 'user', content: 'hi' }],
        ...{ tools: body.tools, variables: { mood: 'merry' } },
        ...{ addGenerationPrompt: true, continueFinalMessage: false },
      },
      expect.objectContaining({ addGenerationPrompt: false }),
    ])
  })

  test('messages need a template', async () => {
    const response = await ask('/tokenize', { messages: [{ role: 'user', content: 'hi' }] })
    expect(response.status).toBe(400)
    const { error } = (await response.json()) as Json
    expect(error).toMatchObject({ param: 'messages', code: 'chat_template_missing' })
  })

  test('bodies are bounded', async () => {
    const { post } = testApp({ limits: { maxBodyBytes: 100 } })
    expect((await post({ prompt: 'x'.repeat(100) }, {}, '/tokenize')).status).toBe(413)
  })
})

describe('/detokenize', () => {
  test.each(['/detokenize', '/v1/detokenize'])('%s answers both kinds of clients', async (path) => {
    const text = '<s> w3 w4'
    expect(await answer(path, { tokens: [1, 3, 4] })).toEqual({ prompt: text, content: text })
  })

  test('leaves special tokens out if told to, and takes no tokens at all', async () => {
    const body = { tokens: [1, 3], skip_special_tokens: true }
    expect((await answer('/detokenize', body)).prompt).toBe(' w3')
    expect((await answer('/detokenize', { tokens: [] })).prompt).toBe('')
  })

  test.each<[object, string]>([
    [{}, 'tokens'],
    [{ tokens: 'a' }, 'tokens'],
    [{ tokens: [1, 1.5] }, 'tokens.1'],
    [{ tokens: [-1] }, 'tokens.0'],
    [{ tokens: [1, 2, 4096] }, 'tokens.2'],
  ])('%j is refused', async (body, param) => {
    const response = await ask('/detokenize', body)
    expect(response.status).toBe(400)
    expect(((await response.json()) as Json).error).toMatchObject({ param })
  })
})
