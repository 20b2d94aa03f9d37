// Logits of the project's float64 oracle for checkpoint folders, which logits.py compares with those
// of flash-linear-attention: bun test/bench/fla/reference.ts OUT FOLDER… writes OUT/model.safetensors.
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { EMBEDDED_TEXT } from '../../../src/eval.ts'
import { type TensorToWrite, writeWeights } from '../../../src/loader/safetensors-writer.ts'
import { Tokenizer } from '../../../src/text/tokenizer.ts'
import { readOracleModel } from '../../oracle/checkpoint.ts'
import { oracleLogits } from '../../oracle/decoder.ts'

/** Tokens of the text; logits.py takes the first ones where it wants fewer. */
const TOKENS = 300

/** `NAME.ids` [tokens] and `NAME.logits` [tokens, vocab] of a folder, both float32. */
async function referenceOf(folder: string, text: string): Promise<TensorToWrite[]> {
  const started = performance.now()
  const tokenizer = await Tokenizer.open(join(folder, 'tokenizer.json'), undefined)
  const ids = tokenizer.encode(text).slice(0, TOKENS)
  const model = await readOracleModel(folder)
  const logits = oracleLogits(model, ids)
  const name = basename(folder)
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  return [
    tensor(`${name}.ids`, [TOKENS], ids),
    tensor(`${name}.logits`, [TOKENS, model.config.vocabSize], logits),
  ]
}

function tensor(name: string, shape: number[], values: ArrayLike<number>): TensorToWrite {
  const data = Float32Array.from(values)
  const elements = shape.reduce((product, size) => product * size, 1)
  if (data.length !== elements) throw new Error(`${name}: ${data.length} values, not ${elements}`)
  if (!data.every(Number.isFinite)) throw new Error(`${name}: not all values are finite`)
  return { name, shape, dtype: 'F32', blocks: () => [new Uint8Array(data.buffer)] }
}

const [out, ...folders] = process.argv.slice(2)
if (folders.length === 0) throw new Error('usage: reference.ts OUT FOLDER…')
if (new Set(folders.map((folder) => basename(folder))).size < folders.length) {
  throw new Error('two folders have the same name')
}
const text = await Bun.file(EMBEDDED_TEXT).text()
const tensors: TensorToWrite[] = []
for (const folder of folders) tensors.push(...(await referenceOf(folder, text)))
await mkdir(out, { recursive: true })
await writeWeights(out, tensors, { maxShardBytes: Number.POSITIVE_INFINITY })
