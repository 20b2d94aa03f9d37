// The goldens through the real server: greedy text at temperature 0, in both kernel variants.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { shared, shipped } from '../helpers/model.ts'
import { startServer } from '../helpers/server.ts'

describe.each([
  [join(shipped, 'tales-gla-5m'), 'plain'],
  [join(shipped, 'tales-gla-5m'), 'subgroup'],
  [join(shipped, 'tales-gsa-5m'), 'plain'],
  [join(shipped, 'tales-gsa-5m'), 'subgroup'],
  [join(shared, 'models/tales-gla-hybrid-5m'), 'plain'],
])('%s, %s kernels', (folder, kernels) => {
  test('64 greedy tokens of each prompt', async () => {
    const file = Bun.file(join(folder, 'golden.json'))
    if (!(await file.exists())) return
    const { cases } = await file.json()
    const tokenizer = await Tokenizer.open(
      join(folder, 'tokenizer.json'),
      join(folder, 'tokenizer_config.json'),
    )
    await using server = await startServer([folder, '--kernels', kernels, '--max-num-seqs', '4'])
    for (const { prompt, ids, greedy_ids, greedy_gap } of cases) {
      // Where two tokens are all but equal, rounding may choose the other one.
      const tie = greedy_gap.findIndex((gap: number) => gap < 1e-3)
      const length = tie < 0 ? greedy_ids.length : tie
      const response = await fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt, max_tokens: length, temperature: 0 }),
      })
      const { choices, usage } = (await response.json()) as {
        choices: { text: string; finish_reason: string }[]
        usage: object
      }
      expect(choices[0].text).toBe(tokenizer.decode(greedy_ids.slice(0, length), { after: ids }))
      expect(choices[0].finish_reason).toBe('length')
      expect(usage).toMatchObject({ prompt_tokens: ids.length, completion_tokens: length })
    }
  }, 120_000)
})
