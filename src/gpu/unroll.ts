// Repeats lines of a kernel: constant indices and names of its own for every accumulator, which
// drivers keep in registers where they might not do so for arrays indexed by loops.
import { type ParamValues, WgslError } from './wgsl.ts'

/** A line of preprocessor input and where it comes from, from 1. */
export interface SourceLine {
  content: string
  line: number
}

/**
 * `#for i < BOUND` … `#endfor`: the lines between, once for each i from 0, with `$i` replaced by the
 * number; i is one letter, BOUND a number or a u32 parameter. They nest, and `#if` may look at $i.
 */
export function unroll(file: string, text: string, values: ParamValues): SourceLine[] {
  const lines = text.split('\n').map((content, index) => ({ content, line: index + 1 }))
  return unrollLines(file, lines, values)
}

function unrollLines(
  file: string,
  lines: readonly SourceLine[],
  values: ParamValues,
): SourceLine[] {
  const result: SourceLine[] = []
  for (let at = 0; at < lines.length; at++) {
    const { content, line } = lines[at]
    if (isEnd(content)) throw new WgslError(`${file}:${line}: #endfor without #for`)
    if (!isStart(content)) {
      result.push(lines[at])
      continue
    }
    const { name, count } = parseHead(file, lines[at], values)
    const end = endOf(file, lines, at)
    const body = lines.slice(at + 1, end)
    for (let i = 0; i < count; i++) {
      const copy = body.map((each) => ({
        ...each,
        content: each.content.replaceAll(`$${name}`, String(i)),
      }))
      result.push(...unrollLines(file, copy, values))
    }
    at = end
  }
  return result
}

const isStart = (content: string) => /^\s*#for\b/.test(content)
const isEnd = (content: string) => /^\s*#endfor\b/.test(content)

function parseHead(file: string, { content, line }: SourceLine, values: ParamValues) {
  const match = /^\s*#for\s+([a-z])\s*<\s*(\w+)\s*(?:\/\/.*)?$/.exec(content)
  if (!match) throw new WgslError(`${file}:${line}: expected #for i < BOUND`)
  const [, name, bound] = match
  const count = Number(values[bound] ?? bound)
  if (!Number.isInteger(count) || count < 0) {
    throw new WgslError(`${file}:${line}: ${bound} is no number of times`)
  }
  return { name, count }
}

/** Index of the line that ends the loop which begins at `start`. */
function endOf(file: string, lines: readonly SourceLine[], start: number): number {
  let depth = 0
  for (let at = start; at < lines.length; at++) {
    if (isStart(lines[at].content)) depth++
    if (isEnd(lines[at].content) && --depth === 0) return at
  }
  throw new WgslError(`${file}:${lines[start].line}: #for without #endfor`)
}
