// Tokenizers small enough to read, one for each layout that is supported.

import { BYTE_CHARACTERS, byteToken } from '../../src/text/layout.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests break these files on purpose.
type Json = any

/** Pattern of the Llama 3 tokenizer. */
const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

function special(id: number, content: string): Json {
  const off = { single_word: false, lstrip: false, rstrip: false, normalized: false }
  return { id, content, ...off, special: true }
}

function bpe(tokens: string[], merges: [string, string][], settings: Json): Json {
  const all = [...tokens, ...merges.map((pair) => pair.join(''))]
  const vocab = Object.fromEntries(all.map((token, id) => [token, id]))
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    fuse_unk: false,
    ...settings,
    vocab,
    merges,
  }
}

/** GPT-2 layout: ids 0 to 255 are the bytes, then merges, then `<|end|>`. */
export function gpt2(): Json {
  const merges: [string, string][] = [
    ['h', 'e'],
    ['l', 'o'],
    ['l', 'lo'],
    ['he', 'llo'],
    ['Ġ', 'w'],
    ['Ġ', 'Ġ'],
    ['Ċ', 'Ċ'],
    ["'", 's'],
    ['1', '2'],
    ['12', '3'],
    ['123', '4'],
    ['Ã', '©'],
    ['ð', 'Ł'],
    ['Â', 'ħ'],
    ['¿', 'Â'],
    ['!', 'Â'],
  ]
  const model = bpe([...BYTE_CHARACTERS], merges, { byte_fallback: false })
  return {
    added_tokens: [special(Object.keys(model.vocab).length, '<|end|>')],
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: {
      type: 'ByteLevel',
      add_prefix_space: true,
      trim_offsets: false,
      use_regex: true,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model,
  }
}

/** Llama 3 layout: its own pattern before ByteLevel, and `<|end|>` before each text. */
export function llama3(): Json {
  const json = gpt2()
  const split = {
    type: 'Split',
    pattern: { Regex: LLAMA3_PATTERN },
    behavior: 'Isolated',
    invert: false,
  }
  const [end] = json.added_tokens
  json.pre_tokenizer = {
    type: 'Sequence',
    pretokenizers: [split, { ...json.pre_tokenizer, use_regex: false }],
  }
  const template = {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: end.content, type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
    ],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: {
      [end.content]: { id: end.content, ids: [end.id], tokens: [end.content] },
    },
  }
  json.post_processor = { type: 'Sequence', processors: [json.post_processor, template] }
  return json
}

/** Qwen layout: Llama 3's pattern after NFC. */
export function qwen(): Json {
  return { ...llama3(), normalizer: { type: 'NFC' }, post_processor: null }
}

/** Llama 2 and Mistral layout: `<unk>`, `<s>`, `</s>`, 256 byte tokens, characters, merges. */
export function mistral(): Json {
  const bytes = Array.from({ length: 256 }, (_, byte) => byteToken(byte))
  const merges: [string, string][] = [
    ['h', 'e'],
    ['l', 'o'],
    ['l', 'lo'],
    ['he', 'llo'],
    ['▁', 'hello'],
    ['▁', 'w'],
    ['▁', '▁'],
    ['▁▁', '▁▁'],
  ]
  const model = bpe(['<unk>', '<s>', '</s>', ...bytes, ...'▁helowrds<>/'], merges, {
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
  })
  const mark = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const unmark = { type: 'Replace', pattern: { String: '▁' }, content: ' ' }
  return {
    added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => special(id, content)),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, mark] },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        unmark,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model,
  }
}

/** The same with a Metaspace pre-tokenizer instead of a normalizer. */
export function metaspace(scheme: string): Json {
  const pre = { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: false }
  return { ...mistral(), normalizer: null, pre_tokenizer: pre }
}

/** The same without a space before the text. */
export function unprefixed(): Json {
  const json = mistral()
  json.normalizer = json.normalizer.normalizers[1]
  json.decoder.decoders.pop()
  return json
}

/** Mistral layout with merges across words, which must not be merged word by word. */
export function crossing(): Json {
  const json = mistral()
  json.model.merges.unshift(['o', '▁'])
  json.model.vocab['o▁'] = Object.keys(json.model.vocab).length
  return json
}

/** Mistral layout whose special tokens are matched after normalization, as in old Llama files. */
export function normalized(): Json {
  const json = mistral()
  for (const token of json.added_tokens) token.normalized = true
  return json
}
