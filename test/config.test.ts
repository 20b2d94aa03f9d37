import { describe, expect, test } from 'bun:test'
import { parseCommandLine } from '../src/command-line.ts'
import { SERVE_OPTIONS, type ServeOptions } from '../src/config.ts'
import { ConfigError } from '../src/errors.ts'
import { DEFAULT_LIMITS } from '../src/http/context.ts'
import type { Option } from '../src/options.ts'

type Env = Record<string, string>

function serve(argv: string[] = [], env: Env = {}): ServeOptions {
  const parsed = parseCommandLine(argv, env)
  if (parsed.command !== 'serve') throw new Error(`parsed as ${parsed.command}`)
  return parsed.options
}

describe('serve', () => {
  test('defaults', () => {
    expect(serve()).toEqual({
      model: undefined,
      revision: undefined,
      downloadDir: undefined,
      servedModelName: undefined,
      chatTemplate: undefined,
      host: '127.0.0.1',
      port: 8000,
      adapter: 'auto',
      dtype: 'auto',
      quantization: 'none',
      randomWeights: false,
      autotune: true,
      kernels: 'auto',
      maxNumSeqs: undefined,
      stateMemory: undefined,
      maxNumBatchedTokens: 512,
      maxModelLen: undefined,
      maxQueue: 1024,
      maxBodyBytes: DEFAULT_LIMITS.maxBodyBytes,
      maxStoredResponses: DEFAULT_LIMITS.maxStoredResponses,
      batchInvariant: undefined,
      prefixCacheBytes: undefined,
      prefixCacheHostBytes: undefined,
      queueTimeout: 0,
      requestTimeout: 0,
      shutdownTimeout: 30,
      apiKey: undefined,
      apiKeyFile: undefined,
      allowOrigin: undefined,
      metricsPort: undefined,
      healthTimeout: 120,
      drainDelay: 0,
      metricsCompat: 'none',
      logLevel: 'info',
      logFormat: 'auto',
      logPrompts: false,
    })
  })

  test.each<[string[], Env, Partial<ServeOptions>]>([
    [['serve'], {}, { model: undefined }],
    [['models/x'], {}, { model: 'models/x' }],
    [['serve', 'models/x', '--port', '0'], {}, { model: 'models/x', port: 0 }],
    [['--port=81', 'models/x'], {}, { model: 'models/x', port: 81 }],
    [['--model', 'models/x'], {}, { model: 'models/x' }],
    [['--', '--odd-folder'], {}, { model: '--odd-folder' }],
    [['serve', 'serve'], {}, { model: 'serve' }],
    [[], { GLAZE_MODEL: 'm', GLAZE_KERNELS: 'plain' }, { model: 'm', kernels: 'plain' }],
    [['x'], { GLAZE_MODEL: 'm' }, { model: 'x' }],
    [['--port', '2'], { GLAZE_PORT: '1' }, { port: 2 }],
    [['--port', '2', '--port', '3'], {}, { port: 3 }],
    [[], { GLAZE_PORT: '' }, { port: 8000 }],
    [[], { GLAZED: 'x', glaze_port: 'x' }, { port: 8000 }],
    [['--max-num-seqs', '8'], {}, { maxNumSeqs: 8 }],
    [['--max-num-seqs', 'auto'], { GLAZE_MAX_NUM_SEQS: '8' }, { maxNumSeqs: undefined }],
    [['--max-num-batched-tokens', '64'], {}, { maxNumBatchedTokens: 64 }],
    [['--served-model-name', 'a'], {}, { servedModelName: ['a'] }],
    [
      ['--served-model-name', 'a', '--served-model-name=b, c'],
      { GLAZE_SERVED_MODEL_NAME: 'd' },
      { servedModelName: ['a', 'b', 'c'] },
    ],
    [['--state-memory', '4GiB'], {}, { stateMemory: 4 * 2 ** 30 }],
    [['--state-memory', '1.5 gib'], {}, { stateMemory: 1.5 * 2 ** 30 }],
    [['--state-memory', '512Mi'], {}, { stateMemory: 512 * 2 ** 20 }],
    [['--state-memory', '2GB'], {}, { stateMemory: 2e9 }],
    [['--state-memory', '8k'], {}, { stateMemory: 8000 }],
    [['--state-memory', '123'], {}, { stateMemory: 123 }],
    [['--state-memory', 'auto'], {}, { stateMemory: undefined }],
    [['--shutdown-timeout', '0'], {}, { shutdownTimeout: 0 }],
    [['--shutdown-timeout', '1.5'], {}, { shutdownTimeout: 1.5 }],
    [['--batch-invariant'], { GLAZE_BATCH_INVARIANT: 'false' }, { batchInvariant: true }],
    [['--no-batch-invariant'], {}, { batchInvariant: false }],
    [['--batch-invariant=auto'], { GLAZE_BATCH_INVARIANT: 'true' }, { batchInvariant: undefined }],
    [[], { GLAZE_BATCH_INVARIANT: 'true' }, { batchInvariant: true }],
    [['--prefix-cache-bytes', '0'], {}, { prefixCacheBytes: 0 }],
    [['--prefix-cache-bytes', '0b'], {}, { prefixCacheBytes: 0 }],
    [['--prefix-cache-bytes', '1GiB'], {}, { prefixCacheBytes: 2 ** 30 }],
    [['--prefix-cache-bytes', 'auto'], {}, { prefixCacheBytes: undefined }],
    [[], { GLAZE_PREFIX_CACHE_HOST_BYTES: '0.5Gi' }, { prefixCacheHostBytes: 2 ** 29 }],
    [['--prefix-cache-host-bytes', '0'], {}, { prefixCacheHostBytes: 0 }],
    [['--queue-timeout', '0.25'], {}, { queueTimeout: 0.25 }],
    [['--queue-timeout', '0'], { GLAZE_QUEUE_TIMEOUT: '5' }, { queueTimeout: 0 }],
    [['--request-timeout', '86400'], {}, { requestTimeout: 86_400 }],
    [['--adapter', 'NVIDIA H100'], {}, { adapter: 'NVIDIA H100' }],
    [['--api-key', 'a', '--api-key=--b, c'], { GLAZE_API_KEY: 'd' }, { apiKey: ['a', '--b', 'c'] }],
    [[], { GLAZE_API_KEY: 'sk-1,sk-2' }, { apiKey: ['sk-1', 'sk-2'] }],
    [['--api-key-file', '/run/keys'], {}, { apiKeyFile: '/run/keys' }],
    [['--chat-template', 'own.jinja'], {}, { chatTemplate: 'own.jinja' }],
    [['--allow-origin', '*'], {}, { allowOrigin: ['*'] }],
    [
      ['--allow-origin', 'https://app.example', '--allow-origin', 'http://localhost:5173'],
      {},
      { allowOrigin: ['https://app.example', 'http://localhost:5173'] },
    ],
    [
      [],
      { GLAZE_ALLOW_ORIGIN: 'https://[::1]:8443, tauri://localhost' },
      { allowOrigin: ['https://[::1]:8443', 'tauri://localhost'] },
    ],
    [['--log-prompts'], {}, { logPrompts: true }],
    [['--max-body-bytes', '16MiB'], {}, { maxBodyBytes: 2 ** 24 }],
  ])('%j with %j', (argv, env, expected) => {
    expect(serve(argv, env)).toMatchObject(expected)
  })

  test.each<[string[], Env, string]>([
    [['--prot', '1'], {}, 'unknown flag --prot; did you mean --port?'],
    [['--max-num-seq=1'], {}, 'did you mean --max-num-seqs?'],
    [['--no-port'], {}, 'unknown flag --no-port; did you mean --port?'],
    [['-p', '1'], {}, 'unknown flag -p'],
    [[], { GLAZE_PROT: '1' }, 'unknown environment variable GLAZE_PROT; did you mean GLAZE_PORT?'],
    [['a', 'b'], {}, 'unexpected argument "b"'],
    [['--port'], {}, '--port needs a value: expected a whole number from 0 to 65535'],
    [['--port', '--host', 'x'], {}, '--port needs a value'],
    [['--port='], {}, '--port is "": expected a whole number'],
    [['--port', 'http'], {}, '--port is "http": expected a whole number from 0 to 65535'],
    [['--port', '65536'], {}, '--port is "65536"'],
    [['--port', '-1'], {}, '--port is "-1"'],
    [['--port', '1e3'], {}, '--port is "1e3"'],
    [[], { GLAZE_PORT: '80.5' }, 'GLAZE_PORT is "80.5": expected a whole number'],
    [['--max-num-seqs', '0'], {}, 'expected auto or a whole number from 1'],
    [['--max-num-batched-tokens', '100'], {}, 'expected a multiple of 64'],
    [['--max-num-batched-tokens', '0'], {}, 'expected a multiple of 64'],
    [['--dtype', 'int3'], {}, 'expected auto, float16 or float32'],
    [['--kernels', 'fast'], {}, 'expected auto, subgroup or plain'],
    [['--served-model-name', 'a,,b'], {}, '--served-model-name is "a,,b": expected one or more'],
    [['--served-model-name', 'a', '--served-model-name', 'b, a'], {}, 'is "a,b, a": expected one'],
    [['--state-memory', '4XB'], {}, 'expected auto or an amount such as 4GiB'],
    [['--state-memory', '0'], {}, '--state-memory is "0"'],
    [
      ['--prefix-cache-bytes', '-1'],
      {},
      '--prefix-cache-bytes is "-1": expected auto or an amount',
    ],
    [['--prefix-cache-bytes', '0.5'], {}, '--prefix-cache-bytes is "0.5"'],
    [['--prefix-cache-host-bytes', 'off'], {}, '512MiB, 1000000 or 0'],
    [['--batch-invariant=1'], {}, '--batch-invariant is "1": expected true, false or auto'],
    [[], { GLAZE_BATCH_INVARIANT: 'on' }, 'GLAZE_BATCH_INVARIANT is "on": expected true, false'],
    [['--queue-timeout', '-1'], {}, '--queue-timeout is "-1": expected seconds from 0 to 86400'],
    [['--queue-timeout', '1e3'], {}, '--queue-timeout is "1e3"'],
    [['--queue-timeout', '5s'], {}, '--queue-timeout is "5s"'],
    [['--request-timeout', '86401'], {}, '--request-timeout is "86401"'],
    [['--request-timeout', '.5'], {}, '--request-timeout is ".5"'],
    [['--shutdown-timeout', '90000'], {}, '--shutdown-timeout is "90000": expected seconds from 0'],
    [['--log-level', 'loud'], {}, 'expected one of debug, info, warn, error'],
    [['--log-format', 'xml'], {}, 'expected one of auto, json, text'],
    [
      ['--allow-origin', 'app.example'],
      {},
      '--allow-origin is "app.example": expected * or origins',
    ],
    [['--allow-origin', 'https://app.example/'], {}, 'without a path'],
    [['--allow-origin', 'https://app.example/page'], {}, 'without a path'],
    [['--allow-origin', 'https://app.example:443'], {}, '--allow-origin is'],
    [['--allow-origin', 'https://App.example'], {}, '--allow-origin is'],
    [['--allow-origin', 'https://*.example'], {}, '--allow-origin is'],
    [['--allow-origin', 'https://user@app.example'], {}, '--allow-origin is'],
    [['--allow-origin', 'null'], {}, '--allow-origin is "null"'],
    [['--allow-origin', 'https://a.example,,*'], {}, '--allow-origin is'],
    [['--max-body-bytes', '1000'], {}, 'expected an amount from 1KiB to 1GiB'],
    [['--max-body-bytes', '2GiB'], {}, '--max-body-bytes is "2GiB"'],
    [['--no-log-prompts=true'], {}, '--no-log-prompts takes no value'],
    [[], { GLAZE_API_KEY: '' }, 'GLAZE_API_KEY is empty; unset it to run without keys'],
    [['--api-key', 'k'], { GLAZE_API_KEY_FILE: '' }, 'GLAZE_API_KEY_FILE is empty; unset it'],
    [['--api-key='], {}, '--api-key: expected one or more keys'],
    [['--log-prompts=yes'], {}, '--log-prompts is "yes": expected true or false'],
  ])('%j with %j is refused', (argv, env, message) => {
    const parse = () => serve(argv, env)
    expect(parse).toThrow(ConfigError)
    expect(parse).toThrow(message)
  })
})

test.each<[string[], Env, string]>([
  [['--api-key', 'sk-1 sk-2'], {}, '--api-key: expected one or more keys'],
  [['--api-key', 'sk-1,'], {}, '--api-key: expected one or more keys'],
  [['--api-key', 'sk-ä'], {}, '--api-key: expected one or more keys'],
  [[], { GLAZE_API_KEY: 'sk-1\nsk-2' }, 'GLAZE_API_KEY: expected one or more keys'],
])('%j with %j is refused without repeating the key', (argv, env, message) => {
  const parse = () => serve(argv, env)
  expect(parse).toThrow(ConfigError)
  expect(parse).toThrow(message)
  expect(parse).not.toThrow('sk-')
})

describe('other commands', () => {
  test.each(['--help', '-h', 'help'])('%s', (arg) => {
    const parsed = parseCommandLine([arg], {})
    if (parsed.command !== 'help') throw new Error(`parsed as ${parsed.command}`)
    for (const [key, option] of Object.entries<Option>(SERVE_OPTIONS)) {
      const words = key
        .replaceAll(/[A-Z]/g, (letter) => ` ${letter}`)
        .toLowerCase()
        .split(' ')
      const flag = words.join('-')
      const usage = option.value === undefined ? `, --no-${flag}` : ` ${option.value}`
      expect(parsed.text).toContain(`--${flag}${usage}`)
      expect(parsed.text).toContain(option.help)
      expect(parsed.text).toContain(`[GLAZE_${words.join('_').toUpperCase()}`)
    }
    expect(parsed.text).toContain('default: 127.0.0.1')
  })

  test('help tells no key', () => {
    const env = { GLAZE_API_KEY: 'sk-1' }
    expect(JSON.stringify(parseCommandLine(['--help', '--api-key', 'sk-2'], env))).not.toContain(
      'sk-',
    )
  })

  test('help comes before any complaint', () => {
    expect(parseCommandLine(['serve', '--prot', '--help'], { GLAZE_X: '1' }).command).toBe('help')
  })

  test.each(['--version', '-V', 'version'])('%s', (arg) => {
    expect(parseCommandLine([arg], {})).toEqual({ command: 'version' })
  })
})
