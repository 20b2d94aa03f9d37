// The goldens through the real server: greedy text at temperature 0, in both kernel variants.
import { describe, expect, test } from 'bun:test'
import { basename, join } from 'node:path'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { variants } from '../helpers/gpu.ts'
import { trained } from '../helpers/model.ts'
import { startServer } from '../helpers/server.ts'

/** Every reply must be what the API says. */
const checkedFetch = checkingFetch()

interface Golden {
  prompt: string
  ids: number[]
  greedy_ids: number[]
  /** Logit of each greedy token above that of the next best. */
  greedy_gap: number[]
}

/** In both variants the models of one mixer; models/golden.test.ts has the logits of all in both. */
const runs = trained.flatMap((folder) =>
  variants
    .filter((kernels) => kernels === 'plain' || /-(gla|gsa)-5m$/.test(folder))
    .map((kernels) => [basename(folder), kernels, folder] as const),
)

describe.each(runs)('%s, %s kernels', (_, kernels, folder) => {
  test('64 greedy tokens of each prompt', async () => {
    const { cases }: { cases: Golden[] } = await Bun.file(join(folder, 'golden.json')).json()
    const tokenizer = await Tokenizer.open(
      join(folder, 'tokenizer.json'),
      join(folder, 'tokenizer_config.json'),
    )
    await using server = await startServer([folder, '--kernels', kernels, '--max-num-seqs', '4'])
    // Together, since a step costs little more for several.
    const checkCase = async ({ prompt, ids, greedy_ids, greedy_gap }: Golden) => {
      // Where two tokens are all but equal, rounding may choose the other one.
      const tie = greedy_gap.findIndex((gap) => gap < 1e-3)
      const length = tie < 0 ? greedy_ids.length : tie
      const response = await checkedFetch(`${server.url}/v1/completions`, {
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
    await Promise.all(cases.map(checkCase))
  }, 120_000)
})
