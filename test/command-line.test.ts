// Misspelt and foreign names, variables that nobody meant, and what --check is given.

import { describe, expect, test } from 'bun:test'
import { parseCommandLine } from '../src/command-line.ts'
import { SERVE_OPTIONS } from '../src/config.ts'
import { EVAL_OPTIONS } from '../src/config-eval.ts'
import { ConfigError } from '../src/errors.ts'
import { FOREIGN_FLAGS } from '../src/foreign-flags.ts'

type Env = Record<string, string>

function refusal(argv: string[], env: Env = {}): string {
  try {
    parseCommandLine(argv, env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
  throw new Error('was taken')
}

describe('flags of other servers', () => {
  test.each<[string[], string]>([
    [['--tensor-parallel-size', '2'], 'one process drives one GPU'],
    [['serve', '--gpu-memory-utilization=0.9'], '--state-memory BYTES or --max-num-seqs N'],
    [['x', '--no-enable-prefix-caching'], '--prefix-cache-bytes is 0'],
    [['--allowed-origins', '["*"]'], 'here it is --allow-origin ORIGIN'],
    [['-c', '4096'], 'here it is --max-model-len N'],
    [['eval', '--tensor-parallel-size', '2'], 'one process drives one GPU'],
  ])('%j gets a hint', (argv, hint) => {
    expect(refusal(argv)).toContain(hint)
    expect(refusal(argv)).not.toContain('did you mean')
  })

  test('are none of ours, and hints name flags that there are', () => {
    const flags = Object.keys(SERVE_OPTIONS).map(
      (key) => `--${key.replaceAll(/[A-Z]/g, '-$&').toLowerCase()}`,
    )
    for (const [flag, hint] of FOREIGN_FLAGS) {
      expect(flags).not.toContain(flag)
      for (const [named] of hint.matchAll(/--[a-z-]+/g)) expect(flags).toContain(named)
    }
  })

  test('--model is taken, as the argument is', () => {
    const { settings: _, ...byFlag } = { settings: [], ...parseCommandLine(['--model', 'x'], {}) }
    expect(parseCommandLine(['x'], {})).toMatchObject(byFlag)
  })
})

describe('the nearest name', () => {
  test.each<[string[], Env, string]>([
    [['--chek'], {}, 'unknown flag --chek; did you mean --check?'],
    [['--halp'], {}, 'did you mean --help?'],
    [['--no-autotun'], {}, 'unknown flag --no-autotun; did you mean --autotune?'],
    [['--no-no-autotune'], {}, 'unknown flag --no-no-autotune'],
    [['--no-check'], {}, 'unknown flag --no-check; did you mean --check?'],
    [['eval', '--windows', '5'], {}, 'did you mean --window?'],
    [['eval', '--max-queue', '5'], {}, 'unknown flag --max-queue'],
    [['eval'], { GLAZE_MAX_QUEU: '5' }, 'GLAZE_MAX_QUEU; did you mean GLAZE_MAX_QUEUE?'],
    [[], { GLAZE_WINDOWS: '5' }, 'GLAZE_WINDOWS; did you mean GLAZE_WINDOW?'],
    [[], { GLAZE_NO_AUTOTUNE: 'true' }, 'did you mean GLAZE_AUTOTUNE?'],
    [[], { GLAZE_CHECK: 'true' }, 'unknown environment variable GLAZE_CHECK'],
  ])('%j with %j', (argv, env, message) => {
    expect(refusal(argv, env)).toContain(message)
  })
})

describe('what Kubernetes sets for a Service', () => {
  test.each<[Env]>([
    [{ GLAZE_SERVICE_HOST: '10.0.0.1', GLAZE_SERVICE_PORT: '80', GLAZE_SERVICE_PORT_HTTP: '80' }],
    [{ GLAZE_PORT: 'tcp://10.0.0.1:80', GLAZE_PORT_80_TCP: 'tcp://10.0.0.1:80' }],
    [{ GLAZE_PORT_80_TCP_PROTO: 'tcp', GLAZE_PORT_80_TCP_PORT: '80' }],
    [{ GLAZE_PORT_80_TCP_ADDR: '10.0.0.1', GLAZE_METRICS_PORT: 'tcp://10.0.0.2:90' }],
    [{ GLAZE_BIG_MODEL_SERVICE_HOST: '10.0.0.1', GLAZE_BIG_MODEL_PORT: 'udp://10.0.0.1:80' }],
  ])('is no option: %j', (env) => {
    expect(parseCommandLine([], env)).toEqual(parseCommandLine([], {}))
  })

  test.each<[Env, string]>([
    [{ GLAZE_PORT: '10.0.0.1:80' }, 'GLAZE_PORT is "10.0.0.1:80"'],
    [{ GLAZE_HOST_PORT: '80' }, 'unknown environment variable GLAZE_HOST_PORT'],
  ])('is not any name with a port: %j', (env, message) => {
    expect(refusal([], env)).toContain(message)
  })
})

describe('--check', () => {
  test('is given each option with its source, secrets masked', () => {
    const argv = ['models/x', '--check', '--port=1', '--no-autotune', '--api-key', 'sk-flag']
    const parsed = parseCommandLine(argv, { GLAZE_MAX_QUEUE: '7', GLAZE_PORT: '2' })
    if (parsed.command !== 'check') throw new Error(`parsed as ${parsed.command}`)
    const { options, settings } = parsed
    expect(options).toMatchObject({ model: 'models/x', port: 1, maxQueue: 7, apiKey: ['sk-flag'] })
    expect(settings.length).toBe(Object.keys(SERVE_OPTIONS).length)
    expect(settings).toEqual(
      expect.arrayContaining([
        { flag: '--model', value: 'models/x', source: 'MODEL' },
        { flag: '--port', value: '1', source: '--port' },
        { flag: '--autotune', value: 'false', source: '--no-autotune' },
        { flag: '--api-key', value: '***', source: '--api-key' },
        { flag: '--max-queue', value: '7', source: 'GLAZE_MAX_QUEUE' },
        { flag: '--host', value: '127.0.0.1', source: 'default' },
        { flag: '--api-key-file', value: 'none', source: 'default' },
      ]),
    )
  })

  test('without keys masks nothing', () => {
    const parsed = parseCommandLine(['--check'], {})
    const settings = parsed.command === 'check' ? parsed.settings : []
    expect(settings.find(({ flag }) => flag === '--api-key')!.value).toBe('clients need no key')
  })

  test.each([
    ['behind -- is a model', ['--', '--check']],
    ['is no part of another flag', ['--api-key=--check']],
  ])('%s', (_, argv) => {
    expect(parseCommandLine(argv, {}).command).toBe('serve')
  })

  test('is in the help of serve, and of serve alone', () => {
    const help = (argv: string[]) => JSON.stringify(parseCommandLine(argv, {}))
    expect(help(['--help'])).toContain('--check')
    expect(help(['eval', '--help'])).not.toContain('--check')
    expect(refusal(['eval', '--check'])).toContain('unknown flag --check')
  })
})

test('options of both commands have one meaning', () => {
  const shared = Object.keys(EVAL_OPTIONS).filter((key) => key in SERVE_OPTIONS)
  expect(shared).toContain('adapter')
  const differing = shared.filter(
    (key) => (EVAL_OPTIONS as object)[key as never] !== (SERVE_OPTIONS as object)[key as never],
  )
  // eval takes several.
  expect(differing).toEqual(['model', 'quantization'])
})
