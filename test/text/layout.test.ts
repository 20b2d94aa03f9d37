// Each supported tokenizer layout against ids of the Rust library, and files that are refused.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CheckpointError } from '../../src/errors.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import * as tiny from './tiny-tokenizers.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glaze-layout-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function write(name: string, content: unknown): Promise<string> {
  const file = join(folder, name)
  await Bun.write(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

async function open(json: unknown, config?: unknown): Promise<Tokenizer> {
  const file = await write('tokenizer.json', json)
  if (config === undefined) return Tokenizer.open(file, undefined)
  return Tokenizer.open(file, await write('tokenizer_config.json', config))
}

async function refusal(json: unknown, config?: unknown): Promise<string> {
  const error = await open(json, config).then(
    () => new Error('accepted'),
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message.split('\n').length).toBe(1)
  return error.message
}

type Known = [text: string, ids: number[], decoded?: string]

const byteLevel: Known[] = [
  ["hello world's 12345", [259, 260, 111, 114, 108, 100, 263, 32, 265, 52, 53]],
  ['!\u0085 \ufeff§x', [33, 269, 32, 239, 187, 270, 167, 120]],
  ['hello<|end|>  \n\n e\u0301', [259, 272, 261, 262, 32, 101, 204, 129], 'hello  \n\n e\u0301'],
  ['😀\u200d漢', [268, 152, 128, 226, 128, 141, 230, 188, 162]],
]
const gpt2: Known[] = [
  ["hello world's 12345", [259, 260, 111, 114, 108, 100, 263, 32, 266, 53]],
  ...byteLevel.slice(1),
]
const llama3 = byteLevel.map(([text, ids, decoded]): Known => [text, [272, ...ids], decoded])
const qwen: Known[] = [
  ...byteLevel.slice(0, 2),
  ['hello<|end|>  \n\n e\u0301', [259, 272, 261, 262, 32, 267], 'hello  \n\n é'],
  ...byteLevel.slice(3),
]
const mistral: Known[] = [
  ['hello world', [275, 276, 263, 265, 262, 266]],
  [' hello  ', [259, 275, 277]],
  ['hello<s>hello </s>', [275, 1, 275, 259, 2], 'hello hello '],
  ['</s>    wé\n', [2, 278, 276, 198, 172, 13], '    wé\n'],
]
const metaspace: Known[] = [
  mistral[0],
  [' hello  ', [275, 277], 'hello  '],
  ['hello<s>hello </s>', [275, 1, 274, 259, 2], 'hellohello '],
  ['</s>    wé\n', [2, 277, 259, 276, 198, 172, 13], '   wé\n'],
]

// Ids and text by the Rust library, tokenizers 0.22.2.
describe.each<[string, unknown, Known[]]>([
  ['GPT-2', tiny.gpt2(), gpt2],
  ['Llama 3', tiny.llama3(), llama3],
  ['Qwen', tiny.qwen(), qwen],
  ['Mistral', tiny.mistral(), mistral],
  ['Metaspace first', tiny.metaspace('first'), metaspace],
  [
    'Metaspace always',
    tiny.metaspace('always'),
    [...metaspace.slice(0, 2), mistral[2], metaspace[3]],
  ],
  [
    'without a leading space',
    tiny.unprefixed(),
    [
      ['hello world', [274, 276, 263, 265, 262, 266]],
      [' hello  ', [275, 277]],
      ['hello<s>hello </s>', [274, 1, 274, 259, 2], 'hellohello '],
    ],
  ],
  [
    'merges across words',
    tiny.crossing(),
    [
      ['hello world', [259, 271, 262, 262, 279, 264, 263, 265, 262, 266]],
      [' hello  ', [277, 271, 262, 262, 279, 259]],
    ],
  ],
  [
    'special tokens matched after normalization',
    tiny.normalized(),
    [
      ['hello world', [275, 276, 263, 265, 262, 266]],
      ['hello<s>hello </s>', [275, 268, 267, 269, 274, 2], 'hello<s>hello'],
      ['</s>    wé\n', [2, 277, 259, 276, 198, 172, 13], '   wé\n'],
    ],
  ],
])('%s layout', (_, json, known) => {
  let tokenizer: Tokenizer

  beforeAll(async () => {
    tokenizer = await open(json)
  })

  test.each(known)('%j', (text, ids, decoded = text) => {
    expect(tokenizer.encode(text)).toEqual(ids)
    expect(tokenizer.decode(ids)).toBe(decoded)
  })
})

test('a token string that is no byte spelling stands for itself', async () => {
  const json = tiny.gpt2()
  json.model.vocab.漢 = 273
  json.added_tokens.push({ id: 274, content: '¡é', special: false })
  const tokenizer = await open(json)
  expect(tokenizer.decode([104, 273, 274])).toBe('h漢¡é')
})

test('bos and eos come from tokenizer_config.json, as a string or an object', async () => {
  const config = { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false } }
  const tokenizer = await open(tiny.mistral(), config)
  expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([1, 2])
  const none = await open(tiny.mistral(), { bos_token: null })
  expect([none.bosTokenId, none.eosTokenId]).toEqual([undefined, undefined])
})

test.each<[string, (json: ReturnType<typeof tiny.mistral>) => void]>([
  ['model is Unigram', (json) => (json.model.type = 'Unigram')],
  ['`model` is missing', (json) => delete json.model],
  ['`model.vocab` is not an object', (json) => (json.model.vocab = [])],
  ['the id of "h" is -1', (json) => (json.model.vocab.h = -1)],
  ['the id of "h" is 1.5', (json) => (json.model.vocab.h = 1.5)],
  ['share the id 5', (json) => (json.model.vocab.h = 5)],
  ['"<s>" and "w" share the id 1', (json) => (json.added_tokens[1].content = 'w')],
  ['`added_tokens` is not a list', (json) => (json.added_tokens = [{ content: '<s>' }])],
  [
    'added token 1 is empty',
    (json) => {
      json.added_tokens[1].content = ''
      delete json.model.vocab['<s>']
    },
  ],
  ['single_word of added token "<s>"', (json) => (json.added_tokens[1].single_word = true)],
  ['`model.merges` is not a list', (json) => (json.model.merges = ['h'])],
  ['merge "x y" needs token "x"', (json) => json.model.merges.push('x y')],
  ['model.dropout is 0.1', (json) => (json.model.dropout = 0.1)],
  ['continuing_subword_prefix is ##', (json) => (json.model.continuing_subword_prefix = '##')],
  ['end_of_word_suffix is </w>', (json) => (json.model.end_of_word_suffix = '</w>')],
  ['byte_fallback is false', (json) => (json.model.byte_fallback = false)],
  ['no token "<0x80>" for byte 128', (json) => delete json.model.vocab['<0x80>']],
  ['`normalizer` is neither null nor', (json) => (json.normalizer = 'NFC')],
  ['normalizer is Lowercase', (json) => (json.normalizer = { type: 'Lowercase' })],
  ['normalizer is Prepend + Replace', (json) => (json.normalizer.normalizers[0].prepend = '_')],
  [
    'pre_tokenizer is Sequence',
    (json) => {
      const parts = [{ type: 'Split' }, tiny.metaspace('first').pre_tokenizer]
      Object.assign(json, {
        normalizer: null,
        pre_tokenizer: { type: 'Sequence', pretokenizers: parts },
      })
    },
  ],
  [
    'Metaspace.split is true',
    (json) => {
      const pre = { ...tiny.metaspace('first').pre_tokenizer, split: true }
      Object.assign(json, { normalizer: null, pre_tokenizer: pre })
    },
  ],
  ['Metaspace.prepend_scheme is never', (json) => Object.assign(json, tiny.metaspace('never'))],
  ['decoder is WordPiece', (json) => (json.decoder = { type: 'WordPiece' })],
  ['decoder is missing', (json) => (json.decoder = null)],
  ['decoder Strip is', (json) => (json.decoder.decoders[3].start = 2)],
  [
    'post_processor is BertProcessing',
    (json) => (json.post_processor = { type: 'BertProcessing' }),
  ],
  ['cannot be used', (json) => (json.decoder.decoders = {})],
  ['cannot be used', (json) => (json.post_processor = { type: 'TemplateProcessing' })],
  ['cannot be used', (json) => (json.decoder.decoders = {})],
  ['cannot be used', (json) => (json.post_processor = { type: 'Sequence', processors: [null] })],
  [
    'adds token "[CLS]"',
    (json) => {
      const single = [{ SpecialToken: { id: '[CLS]' } }]
      json.post_processor = { type: 'TemplateProcessing', single }
    },
  ],
])('refused: %s', async (message, damage) => {
  const json = tiny.mistral()
  damage(json)
  expect(await refusal(json)).toContain(message)
})

test.each<[string, (json: ReturnType<typeof tiny.mistral>) => void]>([
  ['normalizer with a ByteLevel decoder is NFKC', (json) => (json.normalizer = { type: 'NFKC' })],
  ['pre_tokenizer is null', (json) => (json.pre_tokenizer = null)],
  [
    'pre_tokenizer is Digits + ByteLevel',
    (json) => {
      json.pre_tokenizer.pretokenizers[0] = { type: 'Digits' }
    },
  ],
  [
    'add_prefix_space is true',
    (json) => {
      json.pre_tokenizer.pretokenizers[1].add_prefix_space = true
    },
  ],
  [
    'use_regex after Split is true',
    (json) => {
      json.pre_tokenizer.pretokenizers[1].use_regex = true
    },
  ],
  [
    'Split.behavior is Removed',
    (json) => {
      json.pre_tokenizer.pretokenizers[0].behavior = 'Removed'
    },
  ],
  ['Split.invert is true', (json) => (json.pre_tokenizer.pretokenizers[0].invert = true)],
  [
    'Split.pattern is {"String":" "}',
    (json) => {
      json.pre_tokenizer.pretokenizers[0].pattern = { String: ' ' }
    },
  ],
  ['cannot be used', (json) => (json.pre_tokenizer.pretokenizers[0].pattern = { Regex: '(' })],
  ['no token "Ā" for byte 0', (json) => delete json.model.vocab.Ā],
])('refused with byte-level tokens: %s', async (message, damage) => {
  const json = tiny.llama3()
  damage(json)
  expect(await refusal(json)).toContain(message)
})

test.each<[string, unknown, unknown]>([
  ['not valid JSON', '{"model": ', undefined],
  ['not a JSON object', '[]', undefined],
  ['`eos_token` is "<end>"', tiny.mistral(), { eos_token: '<end>' }],
  ['`bos_token` is 1', tiny.mistral(), { bos_token: 1 }],
  ['tokenizer_config.json: not valid JSON', tiny.mistral(), '{'],
])('refused: %s', async (message, json, config) => {
  expect(await refusal(json, config)).toContain(message)
})

test('a missing file is named', async () => {
  const missing = join(folder, 'nowhere', 'tokenizer.json')
  await expect(Tokenizer.open(missing, undefined)).rejects.toThrow(`${missing}: not found`)
  const there = await write('tokenizer.json', tiny.mistral())
  await expect(Tokenizer.open(there, missing)).rejects.toThrow(`${missing}: not found`)
})
