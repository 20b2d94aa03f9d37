// The float64 oracle of whole models against the logits of the golden checkpoints.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { fixtures } from '../helpers/model.ts'
import { rmsError } from '../helpers/numbers.ts'
import { readOracleModel } from '../oracle/checkpoint.ts'
import { oracleLogits } from '../oracle/decoder.ts'

const golden = await Bun.file(join(fixtures, 'golden.json')).json()

// Their eleven digits leave about 1e-11.
test.each(Object.keys(golden.models))('%s: the logits of its golden', async (name) => {
  const model = await readOracleModel(join(fixtures, name))
  const { sequences } = golden.models[golden.models[name].same_as ?? name]
  for (const { ids, logits } of sequences) {
    expect(rmsError(oracleLogits(model, ids), logits.flat())).toBeLessThan(1e-9)
  }
})
