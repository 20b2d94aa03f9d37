// The rules that keep the tree readable: imports point one way, files stay short.
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { Glob } from 'bun'

const root = join(import.meta.dir, '..')
const files = [...new Glob('{src,kernels,models,test}/**/*.{ts,wgsl}').scanSync(root)].sort()

/** Lower layers first; a file may import from its own layer and those it is allowed. */
const allowed: Record<string, string[]> = {
  base: [],
  text: ['base'],
  metrics: ['base'],
  hub: ['base'],
  grammar: ['base', 'text'],
  gpu: ['base', 'kernels'],
  kernels: ['gpu'],
  loader: ['base', 'gpu'],
  models: ['base', 'gpu', 'loader'],
  conversion: ['base', 'loader', 'models'],
  engine: ['base', 'gpu', 'loader', 'models', 'text', 'grammar'],
  http: ['base', 'engine', 'grammar'],
  main: [
    ...['base', 'gpu', 'loader', 'models', 'engine', 'text', 'grammar', 'http', 'metrics', 'hub'],
    'conversion',
  ],
}

function layerOf(file: string): string {
  const [top, folder] = file.split('/')
  if (top === 'kernels' || top === 'models') return top
  if (['src/main.ts', 'src/serve.ts', 'src/eval.ts', 'src/convert.ts'].includes(file)) return 'main'
  if (folder === 'serve' || folder === 'evaluation') return 'main'
  return folder.endsWith('.ts') ? 'base' : folder
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)]
    .map((match) => normalize(join(dirname(file), match[1])))
    .filter((target) => target.includes('/'))
}

test('imports point from main down to errors', () => {
  const wrong = files
    .filter((file) => file.endsWith('.ts') && !file.startsWith('test/'))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const [from, to] = [layerOf(file), layerOf(target)]
          return from !== to && !allowed[from]?.includes(to)
        })
        .map((target) => `${file} imports ${target}`),
    )
  expect(wrong).toEqual([])
})

test('the HTTP layer knows the engine by its interface only', () => {
  const wrong = files
    .filter((file) => file.startsWith('src/http/'))
    .flatMap((file) => importsOf(file).map((target) => `${file} imports ${target}`))
    .filter((line) => / imports src\/engine\//.test(line) && !line.endsWith('engine/request.ts'))
  expect(wrong).toEqual([])
})

test('no file is longer than 400 lines', () => {
  const long = files
    .map((file) => `${file}: ${readFileSync(join(root, file), 'utf8').split('\n').length - 1}`)
    .filter((line) => Number(line.split(': ')[1]) > 400)
  expect(long).toEqual([])
})

test('every kernel file is listed and has a head comment', () => {
  const index = readFileSync(join(root, 'kernels/index.ts'), 'utf8')
  const kernels = files.filter((file) => file.endsWith('.wgsl'))
  expect(kernels.length).toBeGreaterThan(10)
  for (const file of kernels) {
    expect(index).toContain(`'./${file.slice('kernels/'.length)}'`)
    expect(readFileSync(join(root, file), 'utf8')).toStartWith('//')
  }
})
