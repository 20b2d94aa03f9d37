// The oracle of structured output: whatever walks through the masks of a random schema is JSON that
// ajv finds valid, and JSON.stringify of it is allowed again.

import { afterAll, expect, test } from 'bun:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { randomSchemas } from './random-schemas.ts'
import { EOS, greedyTokens, openTestGrammars, randomNumbers, tokensOf, walk } from './walk.ts'

const SCHEMAS = 200
const WALKS = 3

const grammars = openTestGrammars()
const ajv = new Ajv2020({ strict: false })

afterAll(() => grammars[Symbol.dispose]())

test('random walks end in valid JSON, and what they end in is allowed when written compactly', async () => {
  const random = randomNumbers(7)
  let unfinished = 0
  for (const schema of randomSchemas(20_261_123, SCHEMAS)) {
    const where = JSON.stringify(schema)
    const guides = await grammars.compile({ kind: 'json_schema', schema }, 'schema')
    const validate = ajv.compile(schema)
    for (let count = 0; count < WALKS; count++) {
      using guide = guides()
      const { text, isFinished } = await walk(guide, random)
      if (!isFinished) {
        unfinished++
        continue
      }
      const value: unknown = parsed(text, where)
      if (!validate(value)) throw new Error(`${text} is not valid for ${where}`)
      const compact = JSON.stringify(value)
      using again = guides()
      for (const id of greedyTokens(compact)) {
        if (!tokensOf(await again.allowed()).includes(id)) {
          throw new Error(`${compact} is not allowed by ${where}`)
        }
        again.accept(id)
      }
      expect(tokensOf(await again.allowed())).toContain(EOS)
    }
  }
  expect(unfinished).toBeLessThan((SCHEMAS * WALKS) / 100)
}, 120_000)

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${text} is no JSON; schema ${where}`)
  }
}
