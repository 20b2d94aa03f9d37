// The real server with a model of a hub: downloaded, served under its name, and served again offline.

import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { z } from 'zod'
import { runGlaze } from '../helpers/command.ts'
import { COMMIT, FakeHub } from '../helpers/fake-hub.ts'
import { startServer } from '../helpers/server.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const CHECKPOINT = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')
const NAMES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors']

const Reply = z.object({
  choices: z.array(z.object({ token_ids: z.array(z.int()) })),
  system_fingerprint: z.string(),
})
const Models = z.object({ data: z.array(z.record(z.string(), z.unknown())) })

test('glaze serve OWNER/NAME', async () => {
  await using temp = await TempFolder.create()
  const golden = await Bun.file(join(CHECKPOINT, 'golden.json')).json()
  const contents = await Promise.all(
    NAMES.map(async (name) => [name, await Bun.file(join(CHECKPOINT, name)).bytes()] as const),
  )
  using hub = new FakeHub(Object.fromEntries(contents), 'tales/gla')
  hub.token = 'hf_secret'
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: temp.path, HF_TOKEN: 'hf_secret' }

  const refused = await runGlaze(['serve', 'tales/gla'], { ...env, HF_TOKEN: 'hf_other' })
  expect(refused.stderr).toContain('the token may not read it')
  expect(refused.stderr).not.toContain('hf_')
  expect(refused.code).toBe(1)

  {
    await using server = await startServer(['tales/gla', '--revision', 'main'], env)
    const { prompt, greedy_ids } = golden.cases[0]
    const response = await fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ model: 'tales/gla', prompt, temperature: 0, max_tokens: 16 },
        ...{ ignore_eos: true, return_token_ids: true },
      }),
    })
    const reply = Reply.parse(await response.json())
    expect(reply.choices[0].token_ids).toEqual(greedy_ids.slice(0, 16))
    expect(reply.system_fingerprint).toContain(`tales/gla-${COMMIT.slice(0, 7)}`)
    const models = Models.parse(await (await fetch(`${server.url}/v1/models`)).json())
    expect(models.data[0]).toMatchObject({ id: 'tales/gla', revision: COMMIT })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toContain(`revision="${COMMIT}"`)
    expect(metrics).toMatch(/startup_duration_seconds\{.*phase="download"\} 0\.\d*[1-9]/)
    expect(server.output()).toContain(`snapshots/${COMMIT}`)
  }

  const offline = { HF_HOME: temp.path, HF_HUB_OFFLINE: '1' }
  const again = await runGlaze(['serve', '--check', 'tales/gla'], offline)
  expect(again.stdout).toContain('model    tales/gla (gla, 6 layers) from ')
  expect(again.code).toBe(0)
}, 60_000)
