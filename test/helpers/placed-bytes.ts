// GPU memory that the weights of a model take, without loading it.
import type { ModelConfig } from '../../models/config.ts'
import { tensorShapes } from '../../models/tensor-shapes.ts'
import { type MatrixType, matrixBytes, rowStride, sensitiveType } from '../../src/gpu/matrix.ts'
import { elementCount } from '../../src/loader/tensor-source.ts'

/** Bytes with matrices of this type, as models/decoder.ts and its layers place them. */
export function placedBytes(config: ModelConfig, type: MatrixType): number {
  let bytes = 0
  for (const [name, shape] of tensorShapes(config)) {
    const stored = typeOf(name, type)
    const [rows, columns] = shape
    bytes +=
      stored === undefined
        ? 4 * elementCount(shape)
        : matrixBytes({ rows, columns, stride: rowStride(columns, stored), type: stored })
  }
  return bytes
}

/** Numbers that were trained. */
export function parameterCount(config: ModelConfig): number {
  return [...tensorShapes(config)].reduce((sum, [, shape]) => sum + elementCount(shape), 0)
}

/** What a matrix is stored in; undefined: it is a vector of floats. */
function typeOf(name: string, type: MatrixType): MatrixType | undefined {
  if (/^model\.embeddings\.|^lm_head\.|\.o_proj\.weight$/.test(name)) return sensitiveType(type)
  return /_proj\.weight$|\.gk_proj\.0\.weight$/.test(name) ? type : undefined
}
