// The WGSL preprocessor. A kernel file declares its parameters and the parts that depend on them:
//
//   #param K: u32                   a number: becomes `const K: u32 = …;` in place
//   #param EPS: f32                 likewise
//   #param WEIGHT: f16 | f32        a choice: for #if only
//   #include "common.wgsl"          text appended after the file's own, once; a dead #if drops it,
//                                   but not the need to give its parameters
//   #if WEIGHT == f16 && K > 64     also #elif, #else, #endif; !, ||, (), == != < <= > >=
//   #for i < ROWS                   lines up to #endfor for each i from 0, `$i` replaced: unroll.ts
//
// Unknown names, missing values and unknown directives are errors with file and line. Line numbers
// of files without #for survive: removed lines become empty ones, and `enable` directives join line 1.
import { unroll } from './unroll.ts'

/** A value for each parameter a kernel declares. */
export type ParamValues = Readonly<Record<string, number | string | boolean>>

/** WGSL text with the files it may include. */
export interface WgslSource {
  name: string
  text: string
  includes: Readonly<Record<string, string>>
}

/** What the files expanded so far have asked for. */
interface Emission {
  /** Parameters that have their constant. */
  emitted: Set<string>
  /** `enable` directives. */
  enables: Set<string>
  /** Files whose text is part of the result: not those included by dead branches only. */
  live: Set<string>
}

interface Declaration {
  type: 'u32' | 'f32' | 'choice'
  choices: string[]
}

/** Thrown for a mistake in a kernel file or in the values given to it. */
export class WgslError extends Error {
  override readonly name = 'WgslError'
}

/** Produces plain WGSL for one set of parameter values. */
export function preprocess(source: WgslSource, values: ParamValues): string {
  const files = collectFiles(source)
  const declared = new Map<string, Declaration>()
  for (const [name, text] of files) declareParams(name, text, declared)
  for (const name of Object.keys(values)) {
    if (!declared.has(name)) throw new WgslError(`${source.name}: no parameter named ${name}`)
  }
  for (const [name, declaration] of declared) checkValue(source.name, name, declaration, values)

  const enables = new Set<string>()
  const emitted = new Set<string>()
  const live = new Set([source.name])
  const parts: string[] = []
  // Sets visit entries added while iterating: the includes of each file follow those before.
  for (const name of live) {
    parts.push(expand(name, files.get(name)!, values, declared, { emitted, enables, live }))
  }
  const [first, ...rest] = parts
  return [[...enables].join(' ') + first, ...rest].join('\n')
}

/** Where a bind group entry of a kernel goes, read from its text so that the two cannot differ. */
export interface Binding {
  name: string
  index: number
  type: 'uniform' | 'read-only-storage' | 'storage'
}

/** Lists `@group(0) @binding(n) var<…> name` declarations of preprocessed text. */
export function reflectBindings(wgsl: string): Binding[] {
  const pattern =
    /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(uniform|storage)\s*(?:,\s*(read_write|read)\s*)?>\s*(\w+)/g
  const bindings: Binding[] = []
  for (const [, index, space, access, name] of wgsl.replace(/\/\/.*$/gm, '').matchAll(pattern)) {
    const type =
      space === 'uniform' ? 'uniform' : access === 'read_write' ? 'storage' : 'read-only-storage'
    bindings.push({ name, index: Number(index), type })
  }
  return bindings
}

function collectFiles(source: WgslSource): Map<string, string> {
  const files = new Map([[source.name, source.text]])
  for (const [name, text] of files) {
    for (const [line, content] of text.split('\n').entries()) {
      const wanted = /^\s*#include\s+"([^"]*)"\s*$/.exec(content)?.[1]
      if (wanted === undefined || files.has(wanted)) continue
      const included = source.includes[wanted]
      if (included === undefined) throw new WgslError(`${name}:${line + 1}: no file "${wanted}"`)
      // Maps keep insertion order and visit entries added while iterating.
      files.set(wanted, included)
    }
  }
  return files
}

function declareParams(file: string, text: string, declared: Map<string, Declaration>): void {
  for (const [line, content] of text.split('\n').entries()) {
    if (!/^\s*#param\b/.test(content)) continue
    const match = /^\s*#param\s+([A-Z][A-Z0-9_]*)\s*:\s*([^/]+?)\s*(?:\/\/.*)?$/.exec(content)
    if (!match) throw new WgslError(`${file}:${line + 1}: expected #param NAME: u32|f32|a | b`)
    const [, name, kind] = match
    const number = kind === 'u32' || kind === 'f32'
    const declaration: Declaration = {
      type: number ? kind : 'choice',
      choices: number ? [] : kind.split('|').map((choice) => choice.trim()),
    }
    const before = declared.get(name)
    if (before && JSON.stringify(before) !== JSON.stringify(declaration)) {
      throw new WgslError(`${file}:${line + 1}: ${name} is declared differently elsewhere`)
    }
    declared.set(name, declaration)
  }
}

function checkValue(file: string, name: string, declaration: Declaration, values: ParamValues) {
  const value = values[name]
  if (value === undefined) throw new WgslError(`${file}: no value for parameter ${name}`)
  const fault = (allowed: string) =>
    new WgslError(`${file}: parameter ${name} is ${value}, allowed: ${allowed}`)
  if (declaration.type === 'u32') {
    if (!Number.isInteger(value) || (value as number) < 0) throw fault('integers from 0')
  } else if (declaration.type === 'f32') {
    if (!Number.isFinite(value)) throw fault('finite numbers')
  } else if (!declaration.choices.includes(String(value))) {
    throw fault(declaration.choices.join(', '))
  }
}

function expand(
  file: string,
  text: string,
  values: ParamValues,
  declared: Map<string, Declaration>,
  { emitted, enables, live: liveFiles }: Emission,
): string {
  // One entry per open #if: is this branch taken, was any branch before, is the outside live.
  const open: { live: boolean; done: boolean; outer: boolean; line: number }[] = []
  const live = () => open.at(-1)?.live ?? true
  const lines = unroll(file, text, values).map(({ content, line }) => {
    const at = `${file}:${line}`
    const directive = /^\s*#(\w+)\s*(.*?)\s*(?:\/\/.*)?$/.exec(content)
    if (!directive) {
      if (!live()) return ''
      if (!/^\s*enable\s/.test(content)) return content
      enables.add(content.trim())
      return ''
    }
    const [, word, rest] = directive
    const top = open.at(-1)
    if (word === 'if') {
      const taken = live() && evaluate(rest, at, values, declared)
      open.push({ live: taken, done: taken, outer: live(), line })
    } else if (word === 'elif' || word === 'else') {
      if (!top) throw new WgslError(`${at}: #${word} without #if`)
      const taken =
        top.outer && !top.done && (word === 'else' || evaluate(rest, at, values, declared))
      top.live = taken
      top.done ||= taken
    } else if (word === 'endif') {
      if (!open.pop()) throw new WgslError(`${at}: #endif without #if`)
    } else if (word === 'param') {
      const name = /^\w+/.exec(rest)?.[0] ?? ''
      const type = declared.get(name)?.type
      if (type === 'choice' || emitted.has(name)) return ''
      emitted.add(name)
      return `const ${name}: ${type} = ${values[name]};`
    } else if (word === 'include') {
      if (live()) liveFiles.add(rest.slice(1, -1))
    } else {
      throw new WgslError(`${at}: unknown directive #${word}`)
    }
    return ''
  })
  const unclosed = open.at(-1)
  if (unclosed) throw new WgslError(`${file}:${unclosed.line}: #if without #endif`)
  return lines.join('\n')
}

/** Evaluates an #if condition by recursive descent: || over && over ! over comparisons. */
function evaluate(
  text: string,
  at: string,
  values: ParamValues,
  declared: Map<string, Declaration>,
): boolean {
  const tokens = text.match(/\|\||&&|[=!<>]=|[!<>()]|[\w.+-]+/g) ?? []
  let next = 0
  const fail = (): never => {
    throw new WgslError(`${at}: cannot read condition "${text}"`)
  }
  const either = (): boolean => {
    let value = both()
    while (tokens[next] === '||') {
      next++
      value = both() || value
    }
    return value
  }
  const both = (): boolean => {
    let value = unary()
    while (tokens[next] === '&&') {
      next++
      value = unary() && value
    }
    return value
  }
  const unary = (): boolean => {
    if (tokens[next] === '!') {
      next++
      return !unary()
    }
    if (tokens[next] !== '(') return comparison()
    next++
    const value = either()
    if (tokens[next++] !== ')') fail()
    return value
  }
  const comparison = (): boolean => {
    const name = tokens[next++] ?? fail()
    const declaration = declared.get(name)
    // Numbers come from #for.
    if (!declaration && !/^\d+$/.test(name)) {
      throw new WgslError(`${at}: ${name} is not a declared parameter`)
    }
    const left = declaration ? String(values[name]) : name
    const operator = tokens[next]
    if (operator === undefined || !/^[=!<>]=?$/.test(operator) || operator === '!') {
      return left !== '0' && left !== 'false'
    }
    next++
    const right = tokens[next++] ?? fail()
    if (declaration?.type === 'choice' && !declaration.choices.includes(right)) {
      throw new WgslError(`${at}: ${name} is never ${right}: ${declaration.choices.join(', ')}`)
    }
    if (operator === '==') return left === right
    if (operator === '!=') return left !== right
    const difference = Number(left) - Number(right)
    if (Number.isNaN(difference)) fail()
    if (operator === '<') return difference < 0
    if (operator === '<=') return difference <= 0
    return operator === '>' ? difference > 0 : difference >= 0
  }
  const value = either()
  if (next !== tokens.length) fail()
  return value
}
