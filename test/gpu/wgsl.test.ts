import { describe, expect, test } from 'bun:test'
import { type ParamValues, preprocess, reflectBindings, WgslError } from '../../src/gpu/wgsl.ts'

const run = (text: string, values: ParamValues = {}, includes: Record<string, string> = {}) =>
  preprocess({ name: 'k.wgsl', text, includes }, values)

describe('preprocess', () => {
  test('numbers become constants in place', () => {
    expect(run('#param K: u32 // keys\n#param EPS: f32\nx', { K: 64, EPS: 1e-5 })).toBe(
      'const K: u32 = 64;\nconst EPS: f32 = 0.00001;\nx',
    )
  })

  test('branches keep the line numbers', () => {
    const text = '#param V: a | b\n#if V == a\nA\n#elif V == b\nB\n#else\nC\n#endif\nend'
    expect(run(text, { V: 'b' }).split('\n')).toEqual(['', '', '', '', 'B', '', '', '', 'end'])
  })

  test.each([
    ['V == a && N > 3', true],
    ['V == b || N >= 4', true],
    ['!(V == a) || N < 4', false],
    ['V != a', false],
    ['N', true],
    ['ZERO', false],
    ['N <= 4 && (V == b || !ZERO)', true],
  ])('condition %s is %p', (condition, expected) => {
    const text = `#param V: a | b\n#param N: u32\n#param ZERO: u32\n#if ${condition}\nyes\n#endif`
    expect(run(text, { V: 'a', N: 4, ZERO: 0 }).includes('yes')).toBe(expected)
  })

  test('nested branches inside a dead one stay dead', () => {
    const text = '#param V: a | b\n#if V == b\n#if V == a\nX\n#else\nY\n#endif\n#else\nZ\n#endif'
    expect(run(text, { V: 'a' }).trim()).toBe('Z')
  })

  test('includes come after the file, once, and enables on line 1', () => {
    const includes = { 'a.wgsl': '#include "b.wgsl"\nenable subgroups;\nA', 'b.wgsl': 'B' }
    const text = 'one\n#include "a.wgsl"\n#include "b.wgsl"\nfour'
    expect(run(text, {}, includes).split('\n')).toEqual([
      'enable subgroups;one',
      '',
      '',
      'four',
      '',
      '',
      'A',
      'B',
    ])
  })

  test('an include in a dead branch brings neither text nor enables', () => {
    const includes = { 'a.wgsl': '#include "b.wgsl"\nenable subgroups;\nA', 'b.wgsl': 'B' }
    const text = '#param V: x | y\n#if V == x\n#include "a.wgsl"\n#endif\nend'
    expect(run(text, { V: 'y' }, includes).split('\n')).toEqual(['', '', '', '', 'end'])
    expect(run(text, { V: 'x' }, includes)).toStartWith('enable subgroups;')
  })

  test('a parameter shared with an included file is declared once', () => {
    const output = run('#param K: u32\n#include "a.wgsl"', { K: 2 }, { 'a.wgsl': '#param K: u32' })
    expect(output.match(/const K/g)).toHaveLength(1)
  })

  test.each<[string, string, ParamValues, RegExp]>([
    ['unknown parameter value', 'x', { K: 1 }, /no parameter named K/],
    ['missing value', '#param K: u32', {}, /no value for parameter K/],
    ['fraction for u32', '#param K: u32', { K: 1.5 }, /K is 1.5, allowed: integers/],
    ['infinite f32', '#param K: f32', { K: Infinity }, /allowed: finite/],
    ['unknown choice', '#param V: a | b', { V: 'c' }, /V is c, allowed: a, b/],
    ['undeclared name', 'y\n#if Q == 1\n#endif', {}, /k.wgsl:2: Q is not a declared/],
    ['impossible comparison', '#param V: a | b\n#if V == c\n#endif', { V: 'a' }, /V is never c/],
    ['unreadable condition', '#param V: a | b\n#if V ==\n#endif', { V: 'a' }, /cannot read/],
    ['unknown directive', '#define X', {}, /k.wgsl:1: unknown directive #define/],
    ['missing #endif', 'x\n#param K: u32\n#if K', { K: 1 }, /k.wgsl:3: #if without #endif/],
    ['lonely #else', '#else', {}, /k.wgsl:1: #else without #if/],
    ['lonely #endif', '#endif', {}, /#endif without #if/],
    ['unknown include', '#include "z.wgsl"', {}, /k.wgsl:1: no file "z.wgsl"/],
    ['bad declaration', '#param k: u32', {}, /expected #param NAME/],
  ])('%s is an error', (_, text, values, message) => {
    expect(() => run(text, values)).toThrow(WgslError)
    expect(() => run(text, values)).toThrow(message)
  })
})

test('bindings are read from the text', () => {
  const text = `
    @group(0) @binding(0) var<uniform> counts: Counts;
    @group(0) @binding(2) var<storage, read> x: array<f32>;
    // @group(0) @binding(3) var<storage, read> gone: array<f32>;
    @group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;`
  expect(reflectBindings(text)).toEqual([
    { name: 'counts', index: 0, type: 'uniform' },
    { name: 'x', index: 2, type: 'read-only-storage' },
    { name: 'y', index: 5, type: 'storage' },
  ])
})
