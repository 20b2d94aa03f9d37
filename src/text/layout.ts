// Which tokenizer.json files glaze serves: the layouts whose ids and text are known to equal those
// of the Rust tokenizers library. Everything else is refused by name.

import { CheckpointError } from '../errors.ts'
import { isPart, type Part, type TokenizerJson } from './tokenizer-json.ts'

/**
 * How token strings spell text. `metaspace`: `▁` is a space and `<0xNN>` one byte (Llama, Mistral).
 * `byte-level`: each character stands for one byte (GPT-2, Llama 3, Qwen).
 */
export type Spelling = 'metaspace' | 'byte-level'

export interface Layout {
  spelling: Spelling
  /** The encoder puts a space before a text, so the decoder drops one from its start. */
  stripsLeadingSpace: boolean
}

/** The mark that stands for a space in a metaspace vocabulary. */
export const MARK = '▁'

/** Pattern that a ByteLevel pre-tokenizer splits by unless told otherwise (GPT-2). */
const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** A mark that follows another character. */
const CROSSING = new RegExp(`[^${MARK}]${MARK}`)

/** The character that stands for each byte in a byte-level vocabulary, by byte value. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters()

function byteCharacters(): string[] {
  const characters: string[] = []
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    characters.push(String.fromCharCode(printable ? byte : next++))
  }
  return characters
}

/** The token that stands for one byte in a metaspace vocabulary. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}

/** Recognizes the layout of a tokenizer.json; throws CheckpointError if it is not one of ours. */
export function readLayout(file: string, json: TokenizerJson): Layout {
  checkModel(file, json)
  checkAddedTokens(file, json)
  checkPostProcessor(file, json, json.post_processor)
  return json.decoder?.type === 'ByteLevel' ? byteLevel(file, json) : metaspace(file, json)
}

/**
 * The file as the JavaScript library should see it, with the same ids as the Rust library gives
 * for the original.
 */
export function forLibrary(json: TokenizerJson): TokenizerJson {
  const pre = json.pre_tokenizer
  if (pre?.type === 'ByteLevel' && pre.use_regex !== false) {
    // The library's own pattern has JavaScript's `\s`, which counts U+FEFF as a space and U+0085 as
    // none, the reverse of Rust; its Split translates `\s`.
    return withPreTokenizers(json, [isolate(GPT2_PATTERN), { ...pre, use_regex: false }])
  }
  if (json.decoder?.type !== 'ByteLevel' && !json.model.merges.some(crossesWords)) {
    // No merge reaches across words, so they can be merged one by one, mostly from the library's
    // cache: 900,000 characters take 0.24 s instead of 3.9 s (two cores, 2026-11-23).
    return withPreTokenizers(json, [...(pre ? [pre] : []), isolate(`${MARK}*[^${MARK}]+|${MARK}+`)])
  }
  return json
}

function withPreTokenizers(json: TokenizerJson, pretokenizers: Part[]): TokenizerJson {
  return { ...json, pre_tokenizer: { type: 'Sequence', pretokenizers } }
}

function isolate(pattern: string): Part {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }
}

/** Whether a merge makes a token with a space inside or at the end of a word. */
function crossesWords(merge: string | [string, string]): boolean {
  const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge
  return CROSSING.test(left + right)
}

function checkModel(file: string, { model }: TokenizerJson): void {
  if (model.type !== 'BPE') refuse(file, 'model', model.type, 'BPE')
  for (const setting of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[setting]) refuse(file, `model.${setting}`, model[setting], 'null')
  }
  for (const merge of model.merges) {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge
    for (const token of [left, right, `${left}${right}`]) {
      if (!Object.hasOwn(model.vocab, token)) {
        fail(file, `merge ${show(merge)} needs token ${show(token)}, which is not in model.vocab`)
      }
    }
  }
}

// Tokens that are matched after normalization, as in old Llama files, are let in although the library
// differs in one rare case: of two in a row spelled in a text it matches the second too.
function checkAddedTokens(file: string, json: TokenizerJson): void {
  for (const token of json.added_tokens) {
    if (token.content === '') fail(file, `added token ${token.id} is empty`)
    if (token.single_word) refuse(file, `single_word of added token ${show(token.content)}`, true)
  }
}

function checkPostProcessor(file: string, json: TokenizerJson, part: Part | null): void {
  if (part === null || part.type === 'ByteLevel') return
  if (part.type === 'Sequence') {
    for (const child of parts(part.processors)) checkPostProcessor(file, json, child)
    return
  }
  const allowed = 'TemplateProcessing, ByteLevel, a Sequence of them, null'
  if (part.type !== 'TemplateProcessing') refuse(file, 'post_processor', part.type, allowed)
  const added = new Set(json.added_tokens.map((token) => token.content))
  for (const piece of part.single as { SpecialToken?: { id: string } }[]) {
    const token = piece.SpecialToken?.id
    if (token === undefined || added.has(token) || Object.hasOwn(json.model.vocab, token)) continue
    fail(file, `post_processor adds token ${show(token)}, which is not in the vocabulary`)
  }
}

function byteLevel(file: string, json: TokenizerJson): Layout {
  const normalizer = json.normalizer?.type
  if (normalizer !== undefined && normalizer !== 'NFC') {
    refuse(file, 'normalizer with a ByteLevel decoder', normalizer, 'NFC, null')
  }
  const pre = json.pre_tokenizer
  const chain = pre?.type === 'Sequence' ? parts(pre.pretokenizers) : [pre ?? { type: 'null' }]
  const allowed = 'ByteLevel, or a Sequence of Split and ByteLevel'
  for (const [index, part] of chain.entries()) {
    const last = index === chain.length - 1
    if (part.type !== (last ? 'ByteLevel' : 'Split')) {
      refuse(file, 'pre_tokenizer', chain.map((each) => each.type).join(' + '), allowed)
    }
    if (last) {
      if (part.add_prefix_space) refuse(file, 'ByteLevel.add_prefix_space', true, 'false')
      // Two rounds of splitting would need the library's own, slightly different pattern.
      if (index > 0 && part.use_regex !== false) {
        refuse(file, 'ByteLevel.use_regex after Split', true, 'false')
      }
    } else {
      if (!regexOf(part)) refuse(file, 'Split.pattern', part.pattern, 'a Regex')
      if (part.behavior !== 'Isolated') refuse(file, 'Split.behavior', part.behavior, 'Isolated')
      if (part.invert) refuse(file, 'Split.invert', true, 'false')
    }
  }
  checkBytes(file, json, BYTE_CHARACTERS)
  return { spelling: 'byte-level', stripsLeadingSpace: false }
}

function metaspace(file: string, json: TokenizerJson): Layout {
  const chain = json.decoder?.type === 'Sequence' ? parts(json.decoder.decoders) : []
  const names = chain.map((part) => part.type).join(' + ')
  const [replace, , , strip] = chain
  if (
    names !== 'Replace + ByteFallback + Fuse' &&
    names !== 'Replace + ByteFallback + Fuse + Strip'
  ) {
    const allowed = 'ByteLevel, or the Sequence Replace + ByteFallback + Fuse (+ Strip)'
    refuse(file, 'decoder', names || json.decoder?.type, allowed)
  }
  if (!replaces(replace, MARK, ' ')) refuse(file, 'decoder Replace', replace, `${MARK} to a space`)
  if (strip && !(strip.content === ' ' && strip.start === 1 && strip.stop === 0)) {
    refuse(file, 'decoder Strip', strip, 'one space at the start')
  }
  if (!json.model.byte_fallback) refuse(file, 'model.byte_fallback', false, 'true')
  checkMarks(file, json)
  checkBytes(
    file,
    json,
    Array.from({ length: 256 }, (_, byte) => byteToken(byte)),
  )
  return { spelling: 'metaspace', stripsLeadingSpace: strip !== undefined }
}

/** Spaces become marks in the normalizer (Prepend, Replace) or in the pre-tokenizer (Metaspace). */
function checkMarks(file: string, { normalizer, pre_tokenizer: pre }: TokenizerJson): void {
  if (normalizer === null && pre?.type === 'Metaspace') {
    if (pre.replacement !== MARK) refuse(file, 'Metaspace.replacement', pre.replacement, MARK)
    if (pre.split !== false) refuse(file, 'Metaspace.split', pre.split, 'false')
    if (pre.prepend_scheme !== 'first' && pre.prepend_scheme !== 'always') {
      refuse(file, 'Metaspace.prepend_scheme', pre.prepend_scheme, 'first, always')
    }
    return
  }
  // The library has Metaspace mark every piece of a Sequence; Rust marks only the first.
  if (pre !== null) refuse(file, 'pre_tokenizer', pre.type, 'null, or Metaspace without normalizer')
  const chain = normalizer?.type === 'Sequence' ? parts(normalizer.normalizers) : [normalizer]
  const [prepend, replace] = chain.length === 2 ? chain : [undefined, chain[0]]
  const known =
    chain.length <= 2 &&
    replaces(replace, ' ', MARK) &&
    (prepend === undefined || (prepend?.type === 'Prepend' && prepend.prepend === MARK))
  if (!known) {
    const found = chain.map((part) => part?.type ?? 'null').join(' + ')
    refuse(file, 'normalizer', found, `Replace of spaces by ${MARK}, or Prepend ${MARK} and that`)
  }
}

/** Every byte needs a token, or some text could not be encoded. */
function checkBytes(file: string, { model }: TokenizerJson, tokens: readonly string[]): void {
  const byte = tokens.findIndex((token) => !Object.hasOwn(model.vocab, token))
  if (byte >= 0) fail(file, `model.vocab has no token ${show(tokens[byte])} for byte ${byte}`)
}

/** The members of a Sequence; open() turns the error into a CheckpointError. */
function parts(value: unknown): Part[] {
  if (Array.isArray(value) && value.every(isPart)) return value
  throw new TypeError(`a Sequence holds ${show(value)}`)
}

function regexOf(part: Part): string | undefined {
  return (part.pattern as { Regex?: string } | undefined)?.Regex
}

function replaces(part: Part | null | undefined, from: string, to: string): boolean {
  const pattern = part?.pattern as { String?: string } | undefined
  return part?.type === 'Replace' && pattern?.String === from && part.content === to
}

function refuse(file: string, what: string, found: unknown, allowed = 'false'): never {
  const shown = typeof found === 'string' ? found : show(found)
  fail(file, `${what} is ${shown}, which is not supported (supported: ${allowed})`)
}

function fail(file: string, message: string): never {
  throw new CheckpointError(file, message)
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'missing'
}
