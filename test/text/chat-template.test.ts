import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { CheckpointError } from '../../src/errors.ts'
import { type Dialogue, openChatTemplate, type Turn } from '../../src/text/chat-template.ts'
import { templateWords } from '../../src/text/template-words.ts'

const fixtures = join(import.meta.dir, '../fixtures')
const fixture = (path: string) => readFileSync(join(fixtures, path), 'utf8')
const tokens = { bosToken: '<s>', eosToken: '</s>' }

function open(text: string, more: Record<string, string> = {}) {
  const named = Object.entries({ default: text, ...more })
  const sources = named.map(([name, each]) => ({ name, file: `${name}.jinja`, text: each }))
  return openChatTemplate(sources, tokens)!
}

function dialogue(messages: Turn[], more: Partial<Dialogue> = {}): Dialogue {
  return { messages, addGenerationPrompt: true, continueFinalMessage: false, ...more }
}

const user = (content: string): Turn => ({ role: 'user', content })
const assistant = (content: string): Turn => ({ role: 'assistant', content })

const chatml = open(fixture('chatml.jinja'))
const inst = open(fixture('chat-templates/inst.jinja'))
const calls = open(fixture('chat-templates/tool-calls.jinja'))

const getTime = { type: 'function', function: { name: 'time', parameters: { type: 'object' } } }

describe('rendering', () => {
  test('turns, special tokens and the beginning of the next turn', () => {
    const turns = [
      { role: 'system', content: 'Be kind.' },
      user('Hi'),
      assistant('Hello'),
      user('?'),
    ]
    expect(chatml.render(dialogue(turns))).toBe(
      '<s><|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n' +
        '<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n?<|im_end|>\n' +
        '<|im_start|>assistant\n',
    )
    expect(chatml.render(dialogue([user('Hi')], { addGenerationPrompt: false }))).toEndWith(
      'Hi<|im_end|>\n',
    )
    expect(inst.render(dialogue([user(' Hi '), assistant('Hello'), user('?')]))).toBe(
      '<s>[INST] Hi [/INST] Hello</s>[INST] ? [/INST]',
    )
  })

  test('tools as JSON with the separators of Python, calls with arguments as objects', () => {
    const call = {
      id: 'abcdefghi',
      type: 'function',
      function: { name: 'time', arguments: { zone: 'CET' } },
    }
    const turns = [
      user('Time?'),
      { ...assistant(''), tool_calls: [call] },
      { role: 'tool', content: '12:00', tool_call_id: 'abcdefghi' },
    ]
    expect(calls.render(dialogue(turns, { tools: [getTime] }))).toBe(
      '<s>[AVAILABLE_TOOLS] [{"type": "function", "function": {"name": "time", "parameters": ' +
        '{"type": "object"}}}][/AVAILABLE_TOOLS][INST] Time? [/INST][TOOL_CALLS] [{"name": "time", ' +
        '"arguments": {"zone": "CET"}, "id": "abcdefghi"}]</s>[TOOL_RESULTS] {"content": "12:00", ' +
        '"call_id": "abcdefghi"}[/TOOL_RESULTS]',
    )
  })

  test('the variables of transformers', () => {
    const template = open(
      '{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} {{ eos_token }} ' +
        "{{ depth }} {{ absent is defined }} {{ strftime_now('%Y') | length }}",
    )
    expect(template.render(dialogue([user('x')], { variables: { depth: 3 } }))).toBe(
      'true true true </s> 3 false 4',
    )
  })

  test('a token that the tokenizer lacks is empty', () => {
    const bare = openChatTemplate([{ name: 'default', file: 'f', text: '[{{ bos_token }}]' }], {})
    expect(bare?.render(dialogue([user('x')]))).toBe('[]')
  })

  test('developer is system for templates that do not know it', () => {
    const rules = { role: 'developer', content: 'Rhyme.' }
    expect(chatml.render(dialogue([rules]))).toContain('system\nRhyme.')
    const plain = open('{% for m in messages %}{{ m.role }} {% endfor %}')
    expect(plain.render(dialogue([rules, user('x')]))).toBe('system user ')
    const modern = open("{% for m in messages %}{{ m.role in ['developer'] }} {% endfor %}")
    expect(modern.render(dialogue([rules, user('x')]))).toBe('true false ')
  })

  test('the template for tools is used where there are tools', () => {
    const both = open('plain', { tool_use: '{{ tools | length }} tools' })
    expect(both.render(dialogue([user('x')]))).toBe('plain')
    expect(both.render(dialogue([user('x')], { tools: [getTime, getTime] }))).toBe('2 tools')
  })

  test.each([
    ['raise_exception', inst, [assistant('Me first')], 'Turns must alternate between user and'],
    ['a filter that does not exist', open('{{ messages | frob }}'), [user('x')], 'frob'],
    [
      'a loop over nothing',
      open('{% for a in b.c.d %}{% endfor %}'),
      [user('x')],
      'UndefinedValue',
    ],
  ])('%s is status 400 with its words', (_, template, turns, words) => {
    const render = () => template.render(dialogue(turns))
    expect(render).toThrow(expect.objectContaining({ status: 400, param: 'messages' }))
    expect(render).toThrow(words)
  })

  test('a refusal names the field that the messages came from', () => {
    const render = () => inst.render(dialogue([assistant('x')], { param: 'input' }))
    expect(render).toThrow(expect.objectContaining({ status: 400, param: 'input' }))
  })

  test('words of a template are bounded', () => {
    const template = open('{{ raise_exception(messages[0].content) }}')
    expect(() => template.render(dialogue([user('x'.repeat(10_000))]))).toThrow(/^.{0,400}$/)
  })

  test.each(['messages', 'tools', 'add_generation_prompt', 'bos_token', 'raise_exception', 'true'])(
    'chat_template_kwargs cannot be %s',
    (name) => {
      const render = () => chatml.render(dialogue([user('x')], { variables: { [name]: [] } }))
      expect(render).toThrow(
        expect.objectContaining({ status: 400, param: `chat_template_kwargs.${name}` }),
      )
    },
  )
})

describe('continueFinalMessage', () => {
  const open2 = { addGenerationPrompt: false, continueFinalMessage: true }

  test.each([
    [chatml, 'Once upon', '<s><|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\nOnce upon'],
    [chatml, 'Once ', '<s><|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\nOnce '],
    [inst, 'Once upon', '<s>[INST] Go [/INST] Once upon'],
    // This template strips contents, and so the space before the next word is the model's to write.
    [inst, ' Once ', '<s>[INST] Go [/INST] Once'],
    // What follows may repeat the content.
    [inst, 's', '<s>[INST] Go [/INST] s'],
    [inst, '<', '<s>[INST] Go [/INST] <'],
  ])('ends with the content %#', (template, content, text) => {
    expect(template.render(dialogue([user('Go'), assistant(content)], open2))).toBe(text)
  })

  test.each(['{{ messages[0].content }}', '{{ messages[1].content | length }}', ''])(
    '%p does not show the content',
    (text) => {
      expect(() => open(text).render(dialogue([user('Go'), assistant('a')], open2))).toThrow(
        expect.objectContaining({ status: 400, param: 'continue_final_message' }),
      )
    },
  )
})

describe('renderUpTo', () => {
  const turns = [user('One two'), assistant('three '), user('four')]

  test.each([
    [0, 3, '<s>[INST] One'],
    [0, 7, '<s>[INST] One two'],
    [1, 6, '<s>[INST] One two [/INST] three'],
    [2, 4, '<s>[INST] One two [/INST] three</s>[INST] four'],
  ])('message %d up to %d', (message, offset, text) => {
    expect(inst.renderUpTo(dialogue(turns), message, offset)).toBe(text)
  })

  test('does not render again what is known', () => {
    let renderings = 0
    const counted = { ...user('One two') }
    Object.defineProperty(counted, 'role', { enumerable: true, get: () => renderings++ && 'user' })
    const plain = open('{{ messages[0].content }}')
    const given = dialogue([counted])
    expect(plain.renderUpTo(given, 0, 3, 'One two')).toBe('One')
    const once = renderings
    expect(plain.renderUpTo(given, 0, 3)).toBe('One')
    expect(renderings - once).toBeGreaterThan(once)
  })

  test('what is not shown has no end', () => {
    const last = open('{{ messages[-1].content }}')
    expect(last.renderUpTo(dialogue(turns), 0, 3)).toBeUndefined()
    const lengths = open('{{ messages[0].content | length }}')
    expect(lengths.renderUpTo(dialogue(turns), 0, 3)).toBeUndefined()
  })
})

describe('what a template tells of itself', () => {
  test.each([
    ['chatml', chatml, true, 'hermes'],
    ['inst', inst, false, 'json'],
    ['tool-calls', calls, true, 'mistral'],
    ['a member called tools', open('{{ messages[0].tools }}'), false, 'json'],
    ['a variable set to tools', open('{% set tools = 1 %}'), false, 'json'],
    ['tools in a filter', open('{{ x if tools | length > 0 }}'), true, 'json'],
    [
      'tools in a macro call',
      open('{% macro f(a) %}{{ a }}{% endmacro %}{{ f(a=tools) }}'),
      true,
      'json',
    ],
    [
      'tools in the template for tools',
      open('plain', { tool_use: '<tool_call>{{ tools }}' }),
      true,
      'hermes',
    ],
  ])('%s', (_, template, knowsTools, style) => {
    expect(template).toMatchObject({ knowsTools, toolCallStyle: style })
  })

  test('variables and strings, in every kind of node', () => {
    const text =
      "{% if a.b[c] == 'd' %}{{ {'e': f} | tojson }}{% elif g is defined %}{{ h[1:i] }}{% endif %}" +
      "{% for j in [k, 'l'] %}{{ m ~ (n if o else p) }}{% endfor %}{% set q = r(s=t) %}"
    const { variables, strings } = templateWords(new Template(text).parsed)
    for (const name of 'acfghikmnoprt') expect(variables).toContain(name)
    for (const name of 'bqs') expect(variables).not.toContain(name)
    for (const value of 'del') expect(strings).toContain(value)
  })
})

describe('opening', () => {
  test('nothing found is no template', () => {
    expect(openChatTemplate([], tokens)).toBeUndefined()
  })

  test.each(['{% for %}', '{{ a', '{% if a %}b', '{% include "x" %}'])(
    '%s is refused with the name of the file',
    (text) => {
      expect(() => open(text)).toThrow(CheckpointError)
      expect(() => open(text)).toThrow('default.jinja: the chat template "default" is not valid')
    },
  )

  test('several without a default are refused', () => {
    const sources = ['rag', 'tool_use'].map((name) => ({ name, file: 'config.json', text: '' }))
    expect(() => openChatTemplate(sources, tokens)).toThrow(
      'config.json: has the chat templates "rag", "tool_use"; one must be named "default"',
    )
  })
})
