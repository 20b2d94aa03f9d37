// Breakpoints of messages: exact positions in the tokens of the prompt.

import { describe, expect, test } from 'bun:test'
import { assistant, characterTokenizer, chatApp, user } from './chat-app.ts'

const text = (given: string, more: object = {}) => ({ type: 'text', text: given, ...more })

describe('cache breakpoints', () => {
  const mark = { prompt_cache_breakpoint: { mode: 'explicit', ttl: '12h' } }
  const positions = async (template: string, body: object) => {
    const { engine, reply, prompt } = chatApp({ template })
    await reply(body)
    const before = engine.requests[0].cacheBreakpoints ?? []
    const whole = await prompt(body)
    return before.map((position) => whole.slice(0, position))
  }

  test('are where the parts end, exactly', async () => {
    const messages = [
      user([text('One', mark), text('two')]),
      assistant('three'),
      user([text('four', mark), text('five', mark)]),
    ]
    const first = '<s><|im_start|>user\nOne'
    const second = `${first}two<|im_end|>\n<|im_start|>assistant\nthree<|im_end|>\n<|im_start|>user\nfour`
    expect(await positions('chatml.jinja', { messages })).toEqual([first, second, `${second}five`])
  })

  test('are before spaces that the template strips', async () => {
    const messages = [user([text(' One \n', mark)]), assistant('two'), user([text('three ', mark)])]
    expect(await positions('chat-templates/inst.jinja', { messages })).toEqual([
      '<s>[INST] One',
      '<s>[INST] One [/INST] two</s>[INST] three',
    ])
  })

  test('the latest four count', async () => {
    const messages = [user(['a', 'b', 'c', 'd', 'e'].map((each) => text(each, mark)))]
    const found = await positions('chatml.jinja', { messages })
    expect(found.map((each) => each.at(-1))).toEqual(['b', 'c', 'd', 'e'])
  })

  test('move with a prompt that is cut, as long as they are in it', async () => {
    const messages = [user([text('One', mark), text('two', mark)])]
    const rest = 'two<|im_end|>\n<|im_start|>assistant\n'.length
    const body = { messages, truncate_prompt_tokens: rest }
    expect(await positions('chatml.jinja', body)).toEqual(['two'])
    const right = { messages, truncate_prompt_tokens: 24, truncation_side: 'right' }
    expect(await positions('chatml.jinja', right)).toEqual(['<s><|im_start|>user\nOne'])
  })

  describe('a token that crosses the end of a part comes after it', () => {
    /** One token for each two characters, and one for a last one. */
    const pairs = (given: string) => given.match(/.{1,2}/gs) ?? []
    const idOf = (pair: string) => pair.charCodeAt(0) + (pair.charCodeAt(1) || 0) * 2 ** 16
    const spell = (id: number) => {
      const [low, high] = [id % 2 ** 16, Math.floor(id / 2 ** 16)]
      return high === 0 ? String.fromCharCode(low) : String.fromCharCode(low, high)
    }
    // The text has 21 characters up to the first part's end, and 25 up to the second's.
    const body = { messages: [user([text('x', mark), text('abcd', mark)])] }

    test.each<[string, (ids: readonly number[]) => string[]]>([
      ['the tokens spell the text', (ids) => ids.map(spell)],
      ['but for a space in front', (ids) => ids.map((id, at) => (at === 0 ? ' ' : '') + spell(id))],
      ['they do not', (ids) => ids.map(() => '?')],
    ])('%s', async (_, pieces) => {
      const encode = (given: string) => pairs(given).map(idOf)
      const { engine, chat } = chatApp({ tokenizer: { encode, pieces } })
      await chat(body)
      expect(engine.requests[0].cacheBreakpoints).toEqual([10, 12])
    })
  })

  test('a character of several tokens is whole', async () => {
    // As tokens of single bytes: all but the last of a character spell nothing.
    const bytes = (given: string) => [...new TextEncoder().encode(given)]
    const pieces = (ids: readonly number[]) => {
      const decoder = new TextDecoder()
      return ids.map((id) => decoder.decode(Uint8Array.of(id), { stream: true }))
    }
    const { engine, chat } = chatApp({ tokenizer: { encode: bytes, pieces } })
    await chat({ messages: [user([text('é', mark), text('é', mark), text('é')])] })
    const before = '<s><|im_start|>user\n'.length
    expect(engine.requests[0].cacheBreakpoints).toEqual([before + 2, before + 4])
  })

  test('cost no further encoding if the tokens spell the text', async () => {
    let encoded = 0
    const encode = (given: string) => {
      encoded += given.length
      return characterTokenizer.encode!(given)
    }
    const { engine, chat } = chatApp({ tokenizer: { ...characterTokenizer, encode } })
    await chat({ messages: [user(['a', 'b', 'c'].map((each) => text(each, mark)))] })
    expect(engine.requests[0].cacheBreakpoints).toHaveLength(3)
    expect(encoded).toBe(engine.requests[0].prompt.length)
  })

  test('are not where nothing but the beginning-of-sequence token is left', async () => {
    const messages = [user([text('One', mark), text('two', mark)])]
    const rest = 'two<|im_end|>\n<|im_start|>assistant\n'.length
    const body = { messages, truncate_prompt_tokens: rest + 1 }
    const { engine, chat } = chatApp({
      tokenizer: { ...characterTokenizer, bosTokenId: '<'.charCodeAt(0) },
    })
    await chat(body)
    expect(engine.requests[0].cacheBreakpoints).toEqual([4])
  })

  test('of messages that the template leaves out count for nothing', async () => {
    const messages = [user([text('One', mark)]), user('two')]
    expect(await positions('chat-templates/echo.jinja', { messages })).toEqual([])
  })
})
