// `truncation: auto`: which turns of a conversation that is too long stay.

import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { ChatMessage } from '../../src/http/chat/messages.ts'
import { fit } from '../../src/http/responses/fit.ts'
import { assistant, templateOf, user } from './chat-app.ts'
import { ANSWER, END, responsesApp, TURN } from './responses-app.ts'

/** Turns of one token a character, for example `u1 a1 u2`; u for user, a for assistant, t for tool. */
function turns(names: string): ChatMessage[] {
  const roles = { u: 'user', a: 'assistant', t: 'tool' }
  return names.split(' ').map((name) => {
    const role = roles[name[0] as keyof typeof roles]
    return { role, content: [{ type: 'text', text: name }], tool_call_id: 'c' } as ChatMessage
  })
}

const text = (messages: readonly ChatMessage[]) =>
  messages.map(({ content }) => content?.map((part) => (part as { text: string }).text)).join(' ')

/** Fits turns, and notes what was encoded for that; `refuse` stands for the template. */
function fitted(names: string, maxModelLen: number, refuse = (_: string) => false, maxTokens = 1) {
  const encoded: [names: string, keepsBreakpoints: boolean][] = []
  const encode = (messages: readonly ChatMessage[], keepsBreakpoints: boolean) => {
    const shown = text(messages)
    encoded.push([shown, keepsBreakpoints])
    if (refuse(shown)) throw new ApiError(400, 'refused', { param: 'input' })
    return { tokens: Array.from(shown, () => 0), breakpoints: [], param: shown }
  }
  const { param } = fit(turns(names), encode, { maxModelLen, maxTokens })
  return { kept: param, encoded }
}

describe('fit', () => {
  test.each([
    ['all, if it fits', 'u1 a1 u2', 9, 'u1 a1 u2'],
    ['from a turn of the user on', 'u1 a1 u2 a2 u3', 12, 'u2 a2 u3'],
    ['no answer without its question', 'u1 a1 u2 a2 u3', 6, 'u3'],
    ['no result without its call', 'u1 a1 t1 u2 a2 t2', 12, 'u2 a2 t2'],
    ['the last turn of the user, however long', 'u1 a1 u2 a2 t2', 3, 'u2 a2 t2'],
    ['all, if only the first turn is the user', 'u1 a1 t1', 3, 'u1 a1 t1'],
    ['all, if there is no user', 'a1 t1 a2', 3, 'a1 t1 a2'],
  ])('keeps %s', (_, names, maxModelLen, kept) => {
    expect(fitted(names, maxModelLen).kept).toBe(kept)
  })

  test('encodes what fits once', () => {
    expect(fitted('u1 a1 u2', 9).encoded).toEqual([['u1 a1 u2', true]])
  })

  test('tries few of many turns, without their breakpoints', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `u${i}`).join(' ')
    const { kept, encoded } = fitted(names, 100)
    expect(kept).toStartWith('u980 ')
    expect(encoded.length).toBeLessThan(14)
    expect(encoded.slice(1, -1).some(([, keepsBreakpoints]) => keepsBreakpoints)).toBe(false)
    expect(encoded.at(-1)).toEqual([kept, true])
  })

  test('drops more where the template refuses what is left', () => {
    const refusesTwo = (shown: string) => shown.startsWith('u2')
    expect(fitted('u1 a1 u2 a2 u3', 12, refusesTwo).kept).toBe('u3')
  })

  test.each(['u1 a1 u2', 'u9'])('throws if the template refuses the whole or the rest', (start) => {
    const refuse = (shown: string) => shown.startsWith(start)
    expect(() => fitted('u1 a1 u2 a2 u9', 6, refuse)).toThrow('refused')
  })

  test('leaves room for the answer, but no more than half', () => {
    const names = 'u1 a1 u2 a2 u3'
    expect(fitted(names, 20, undefined, 6).kept).toBe(names)
    expect(fitted(names, 20, undefined, 7).kept).toBe('u2 a2 u3')
    expect(fitted(names, 20, undefined, 1e6).kept).toBe('u2 a2 u3')
  })
})

describe('over HTTP', () => {
  test('a template that is strict about turns takes what fits, and the rest', async () => {
    const chatTemplate = templateOf('chat-templates/inst.jinja')
    const input = [user('One'), assistant('Two'), user('Three')]
    const whole = '<s>[INST] One [/INST] Two</s>[INST] Three [/INST]'
    for (const [maxModelLen, prompt] of [
      [undefined, whole],
      [whole.length + 1, whole],
      [whole.length, '<s>[INST] Three [/INST]'],
    ] as const) {
      const { prompts, reply } = responsesApp({ chatTemplate, model: { maxModelLen } })
      await reply({ input, truncation: 'auto' })
      expect(prompts()).toEqual([prompt])
    }
  })

  test('max_output_tokens has its room', async () => {
    const last = `<s>${TURN}Two${END}${ANSWER}`
    const { prompts, reply } = responsesApp({ model: { maxModelLen: 2 * last.length } })
    const input = [user('One'), user('Two')]
    await reply({ input, truncation: 'auto', max_output_tokens: 2 })
    await reply({ input, truncation: 'auto', max_output_tokens: last.length })
    expect(prompts()[0]).toContain('One')
    expect(prompts()[1]).toBe(last)
  })
})
