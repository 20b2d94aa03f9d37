// Request bodies that must be refused, each with the reply it must get. The tests of the app and
// those of the real server share them; both serve a vocabulary of 4096 tokens.

export interface BrokenBody {
  name: string
  /** Sent as it is if text or bytes, else as JSON. */
  body: unknown
  contentType?: string
  status: number
  param: string | null
  code: string | null
  /** What the message must contain. */
  words: string
}

const JSON_TYPE = 'application/json'

function refused(
  name: string,
  body: unknown,
  words: string,
  param: string | null = null,
): BrokenBody {
  return { name, body, status: 400, param, code: null, words }
}

/** A good prompt with one bad field. */
function badField(field: string, value: unknown, words: string, param = field): BrokenBody {
  const shown = JSON.stringify(value).slice(0, 30)
  return refused(`${field}: ${shown}`, { prompt: 'x', [field]: value }, words, param)
}

function unsupported(field: string, value: unknown): BrokenBody {
  const words = `${field} is not supported`
  return { ...badField(field, value, words), code: 'unsupported_parameter' }
}

function badPrompt(prompt: unknown, words: string, param = 'prompt'): BrokenBody {
  const shown = JSON.stringify(prompt)?.slice(0, 30)
  return refused(`prompt: ${shown}`, { prompt }, words, param)
}

export const BROKEN_BODIES: BrokenBody[] = [
  refused('no body', '', 'empty'),
  refused('cut JSON', '{"prompt": "x"', 'not valid JSON'),
  refused('trailing comma', '{"prompt": "x",}', 'not valid JSON'),
  refused('an array', '[]', 'is an array'),
  refused('a string', '"prompt"', 'is a string'),
  refused('null', 'null', 'is null'),
  refused('a number', '17', 'is a number'),
  refused('deep nesting', '['.repeat(100_000), 'nested deeper than 256 levels'),
  refused(
    'deep nesting of a field',
    `{"prompt": "x", "user": ${'['.repeat(256)}${']'.repeat(256)}}`,
    'nested deeper than 256 levels',
  ),
  refused(
    'a thousand fields',
    Object.fromEntries(Array.from({ length: 1000 }, (_, field) => [`f${field}`, 1])),
    'has 1000 fields; at most 512',
  ),
  refused('bad UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe]), 'not valid UTF-8'),
  {
    ...refused('a form', 'prompt=x', 'send application/json'),
    contentType: 'application/x-www-form-urlencoded',
    status: 415,
  },
  {
    ...refused('plain text', 'x', 'send application/json'),
    contentType: 'text/plain',
    status: 415,
  },

  refused('an empty object', {}, 'prompt is required', 'prompt'),
  badPrompt(null, 'prompt is required'),
  badPrompt('', 'empty string'),
  badPrompt(5, 'found 5'),
  badPrompt(true, 'found true'),
  badPrompt({ text: 'x' }, 'found an object'),
  badPrompt([], 'empty list'),
  badPrompt([''], 'empty string', 'prompt.0'),
  badPrompt(['a', 'b', 'c', ''], 'prompt.3 is an empty string', 'prompt.3'),
  badPrompt([[]], 'empty list', 'prompt.0'),
  badPrompt([[1], []], 'prompt.1 is an empty list', 'prompt.1'),
  badPrompt([null], 'found null', 'prompt.0'),
  badPrompt([{}], 'found an object', 'prompt.0'),
  badPrompt(['a', 5], 'expected a string', 'prompt.1'),
  badPrompt(['a', [5]], 'found a list of 1', 'prompt.1'),
  badPrompt([5, 'a'], 'found "a"', 'prompt.1'),
  badPrompt([[5], 'a'], 'expected a list of token ids', 'prompt.1'),
  badPrompt([5, 4096], 'from 0 to 4095, found 4096', 'prompt.1'),
  badPrompt([5, 6, 7, -1], 'found -1', 'prompt.3'),
  badPrompt([1.5], 'found 1.5', 'prompt.0'),
  badPrompt(
    [
      [1, 2],
      [1, 1e9],
    ],
    'found 1000000000',
    'prompt.1.1',
  ),
  badPrompt(Array(129).fill('a'), 'at most 128'),
  refused('half a character', '{"prompt": "\\ud83d"}', 'unpaired surrogate', 'prompt'),

  badField('model', 5, 'found 5'),
  badField('model', '', 'found ""'),
  {
    ...badField('model', 'no-such-model', '"no-such-model" is not served'),
    status: 404,
    code: 'model_not_found',
  },
  badField('max_tokens', -1, 'a whole number from 0'),
  badField('max_tokens', 1.5, 'found 1.5'),
  badField('max_tokens', '16', 'found "16"'),
  badField('max_tokens', 2 ** 31, 'found 2147483648'),
  refused('max_tokens: 1e999', '{"prompt": "x", "max_tokens": 1e999}', 'Infinity', 'max_tokens'),
  badField('temperature', -0.1, 'a number from 0 to 2'),
  badField('temperature', 2.1, 'found 2.1'),
  badField('temperature', 'hot', 'found "hot"'),
  badField('temperature', `${'x'.repeat(5000)}`, `found "${'x'.repeat(40)}"…`),
  badField('top_p', 0, 'above 0 and at most 1'),
  badField('top_p', 1.01, 'found 1.01'),
  badField('top_k', -2, 'a whole number from -1'),
  badField('top_k', 0.5, 'found 0.5'),
  badField('min_p', 1.5, 'a number from 0 to 1'),
  badField('n', 0, 'a whole number from 1 to 128'),
  badField('n', 129, 'found 129'),
  badField('seed', 0.5, 'a whole number of 64 bits'),
  badField('seed', 1e30, 'a whole number of 64 bits'),
  badField('seed', '1', 'found "1"'),
  badField('repetition_penalty', 0, 'a number from 0.01 to 10, found 0'),
  badField('repetition_penalty', -1.1, 'found -1.1'),
  badField('repetition_penalty', 10.1, 'found 10.1'),
  badField('repetition_penalty', '1.1', 'found "1.1"'),
  badField('presence_penalty', 2.1, 'a number from -2 to 2, found 2.1'),
  badField('presence_penalty', true, 'found true'),
  badField('frequency_penalty', -2.1, 'a number from -2 to 2, found -2.1'),
  badField('frequency_penalty', [], 'found a list of 0'),
  badField('logit_bias', [[5, 1]], 'an object of at most 1024 token ids', 'logit_bias'),
  badField('logit_bias', '5', 'found "5"'),
  badField('logit_bias', { 5: 100.5 }, 'a number from -100 to 100, found 100.5', 'logit_bias.5'),
  badField('logit_bias', { 5: -101 }, 'found -101', 'logit_bias.5'),
  badField('logit_bias', { 4: 1, 5: null }, 'found null', 'logit_bias.5'),
  badField('logit_bias', { 5: 'ban' }, 'found "ban"', 'logit_bias.5'),
  badField('logit_bias', { 4096: 1 }, 'a token id from 0 to 4095', 'logit_bias.4096'),
  badField('logit_bias', { '-1': 1 }, 'found "-1"', 'logit_bias.-1'),
  badField('logit_bias', { '07': 1 }, 'found "07"', 'logit_bias.07'),
  badField('logit_bias', { '1.5': 1 }, 'found "1.5"', 'logit_bias.1.5'),
  badField('logit_bias', { hello: 1 }, 'logit_bias.hello: expected', 'logit_bias.hello'),
  badField('logit_bias', { '': 1 }, 'found ""', 'logit_bias.'),
  badField(
    'logit_bias',
    { ['x'.repeat(5000)]: 1 },
    `found "${'x'.repeat(40)}"…`,
    `logit_bias.${'x'.repeat(40)}`,
  ),
  badField(
    'logit_bias',
    { ['x'.repeat(5000)]: 'y'.repeat(5000) },
    `found "${'y'.repeat(40)}"…`,
    `logit_bias.${'x'.repeat(40)}`,
  ),
  badField(
    'logit_bias',
    Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 'ban'])),
    'at most 1024 token ids with their biases, found an object',
  ),
  badField('allowed_token_ids', [], 'a list of 1 to 65536 token ids, found a list of 0'),
  badField('allowed_token_ids', 5, 'found 5'),
  badField('allowed_token_ids', Array(65_537).fill(5), 'found a list of 65537'),
  badField('allowed_token_ids', [5, 4096], 'from 0 to 4095, found 4096', 'allowed_token_ids.1'),
  badField('allowed_token_ids', [-1], 'found -1', 'allowed_token_ids.0'),
  badField('allowed_token_ids', [1, 2, 2.5], 'found 2.5', 'allowed_token_ids.2'),
  badField('allowed_token_ids', ['5'], 'found "5"', 'allowed_token_ids.0'),
  badField('priority', 0.5, 'a whole number of 32 bits, found 0.5'),
  badField('priority', 2 ** 31, 'found 2147483648'),
  badField('priority', 'high', 'found "high"'),
  badField('cache_salt', '', 'a string of 1 to 128 characters, found ""'),
  badField('cache_salt', 'x'.repeat(129), '1 to 128 characters'),
  badField('cache_salt', 7, 'found 7'),
  badField('prompt_cache_breakpoint', 0, "a whole number from 1 to the prompt's length, found 0"),
  badField('prompt_cache_breakpoint', 1.5, 'found 1.5'),
  badField('prompt_cache_breakpoint', '3', 'a prompt position in tokens or a list of at most 4'),
  badField('prompt_cache_breakpoint', { mode: 'explicit' }, 'found an object'),
  badField('prompt_cache_breakpoint', [1, 1, 1, 1, 1], 'found a list of 5'),
  badField('prompt_cache_breakpoint', [1, '2'], 'found "2"', 'prompt_cache_breakpoint.1'),
  refused(
    'a breakpoint beyond the prompt',
    { prompt: [1, 2, 3], prompt_cache_breakpoint: [1, 3, 4] },
    'prompt_cache_breakpoint: expected at most 3, the number of tokens of prompt, found 4',
    'prompt_cache_breakpoint',
  ),
  refused(
    'a breakpoint beyond one of the prompts',
    {
      prompt: [
        [1, 2, 3],
        [1, 2],
      ],
      prompt_cache_breakpoint: 3,
    },
    'expected at most 2, the number of tokens of prompt.1, found 3',
    'prompt_cache_breakpoint',
  ),
  badField('best_of', 0, 'a whole number from 1 to 128, found 0'),
  badField('best_of', 129, 'found 129'),
  badField('best_of', 2.5, 'found 2.5'),
  refused(
    'best_of below n',
    { prompt: 'x', n: 3, best_of: 2 },
    'best_of: expected a whole number from n, which is 3, to 128, found 2',
    'best_of',
  ),
  refused(
    'best_of in a stream',
    { prompt: 'x', n: 2, best_of: 3, stream: true },
    'best_of is 3 and n is 2: with stream: true they must be equal',
    'best_of',
  ),
  badField('stop', '', 'a string of 1 to 1024'),
  badField('stop', 5, 'at most 4 strings, found 5'),
  badField('stop', ['a', 'b', 'c', 'd', 'e'], 'found a list of 5'),
  badField('stop', ['a', 'b', ''], 'stop.2: expected a string', 'stop.2'),
  badField('stop', ['a', 5], 'found 5', 'stop.1'),
  badField('stop', 'x'.repeat(1025), '1 to 1024 characters'),
  badField('stream', 'yes', 'true or false, found "yes"'),
  badField('ignore_eos', 1, 'true or false, found 1'),
  badField('stream_options', { include_usage: true }, 'only allowed with stream: true'),
  refused(
    'stream_options: true',
    { prompt: 'x', stream: true, stream_options: true },
    'expected an object, found true',
    'stream_options',
  ),
  refused(
    'include_usage: 1',
    { prompt: 'x', stream: true, stream_options: { include_usage: 1 } },
    'true or false, found 1',
    'stream_options.include_usage',
  ),
  refused(
    'several faults',
    { prompt: 'x', temperature: 9, top_p: 9, min_p: 9, n: 999, stream: 'x' },
    '; and 2 more',
    'temperature',
  ),

  badField('echo', 'yes', 'true or false, found "yes"'),
  badField('logprobs', -1, 'a whole number from 0 to 20, found -1'),
  badField('logprobs', 21, 'found 21'),
  badField('logprobs', true, 'found true'),
  badField('prompt_logprobs', 21, 'a whole number from 0 to 20, found 21'),
  refused(
    'prompt_logprobs in a stream',
    { prompt: 'x', prompt_logprobs: 1, stream: true },
    'prompt_logprobs is not available with stream: true',
    'prompt_logprobs',
  ),
  badField('min_tokens', -1, 'a whole number from 0'),
  badField('min_tokens', 17, 'the most tokens to generate, which is 16, found 17'),
  badField('stop_token_ids', 5, 'a list of at most 128 token ids, found 5'),
  badField('stop_token_ids', [5, 4096], 'from 0 to 4095, found 4096', 'stop_token_ids.1'),
  badField('stop_token_ids', Array(129).fill(1), 'found a list of 129'),
  badField('bad_words', 'x', 'a list of at most 128 strings, found "x"'),
  badField('bad_words', ['a', ''], '1 to 128 characters, found ""', 'bad_words.1'),
  badField('bad_words', Array(129).fill('a'), 'found a list of 129'),
  badField('include_stop_str_in_output', 1, 'true or false, found 1'),
  badField('skip_special_tokens', 0, 'true or false, found 0'),
  badField('add_special_tokens', 0, 'true or false, found 0'),
  badField('return_token_ids', 'yes', 'true or false'),
  badField('return_tokens_as_token_ids', 'yes', 'true or false'),
  badField('truncate_prompt_tokens', 0, '-1 or a whole number of at least 1, found 0'),
  badField('truncate_prompt_tokens', -2, 'found -2'),
  badField('truncate_prompt_tokens', 1.5, 'found 1.5'),
  badField('truncation_side', 'top', 'left or right, found "top"'),
  badField('request_id', 'a b', 'letters, digits, dots, dashes and underscores, found "a b"'),
  badField('request_id', 'x'.repeat(129), '1 to 128'),
  badField('response_format', 'json', 'an object with type text, json_object or json_schema'),
  badField(
    'response_format',
    {},
    'expected text, json_object or json_schema',
    'response_format.type',
  ),
  badField('response_format', { type: 'xml' }, 'found "xml"', 'response_format.type'),
  badField(
    'response_format',
    { type: 'json_schema' },
    'expected an object with a schema',
    'response_format.json_schema',
  ),
  badField(
    'response_format',
    { type: 'json_schema', json_schema: { name: 'x' } },
    'expected a JSON schema',
    'response_format.json_schema.schema',
  ),
  badField('structured_outputs', {}, 'expected json, json_object, regex, choice or grammar'),
  badField('structured_outputs', { json: 5 }, 'a JSON schema', 'structured_outputs.json'),
  badField('structured_outputs', { json: '[1' }, 'a JSON schema', 'structured_outputs.json'),
  badField('structured_outputs', { choice: [] }, '1 to 10000', 'structured_outputs.choice'),
  badField(
    'structured_outputs',
    { choice: Array(10_001).fill('a') },
    'found a list of 10001',
    'structured_outputs.choice',
  ),
  badField(
    'structured_outputs',
    { structural_tag: '{}' },
    'nothing: it is not supported',
    'structured_outputs.structural_tag',
  ),
  refused(
    'two kinds of structure',
    { prompt: 'x', structured_outputs: { regex: 'a', choice: ['b'] } },
    'structured_outputs.regex and structured_outputs.choice exclude each other',
    'structured_outputs.choice',
  ),
  refused(
    'two fields of structure',
    { prompt: 'x', response_format: { type: 'json_object' }, structured_outputs: { regex: 'a' } },
    'response_format and structured_outputs.regex exclude each other',
    'structured_outputs.regex',
  ),

  unsupported('suffix', 'the end'),
  unsupported('repeat_penalty', 1.1),
  unsupported('guided_json', {}),
  unsupported('top_logprobs', 3),
  unsupported('use_beam_search', true),
  unsupported('tools', [{ type: 'function', function: { name: 'f' } }]),
  {
    ...badField(
      'messages',
      [{ role: 'user', content: 'x' }],
      'messages is a field of /v1/chat/completions, not of this route',
    ),
    code: 'unsupported_parameter',
  },
  refused(
    'logit_bias: __proto__',
    '{"prompt": "x", "logit_bias": {"__proto__": 1}}',
    'an object of at most 1024',
    'logit_bias',
  ),
  unsupported('max_completion_tokens', 5),
  unsupported('n_predict', 5),
  unsupported('samplers', ['top_k']),
  unsupported('max_output_tokens', 5),
].map((entry) => ({ ...entry, contentType: entry.contentType ?? JSON_TYPE }))

/** The request's body as it goes over the wire. */
export function wireBody({ body }: BrokenBody): string | Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return body
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body)
}
