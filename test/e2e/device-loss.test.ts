// A lost device ends the server with a message and exit code 1, whatever it was doing.
import { describe, expect, test } from 'bun:test'
import { softwareDriverSupported } from '../../src/gpu/software.ts'
import { runScript } from '../helpers/command.ts'

const run = (moment: string) => runScript('test/helpers/lose-device.ts', [moment])

describe.skipIf(!softwareDriverSupported())('the device is lost', () => {
  test(
    'while the model loads',
    async () => {
      const { stderr, code } = await run('loading')
      expect(stderr).toContain('glaze: the GPU device was lost while loading: lost on purpose')
      expect(code).toBe(1)
      // On a busy machine Dawn now and then ends the process itself in the midst of an upload.
    },
    { timeout: 60_000, retry: 2 },
  )

  test('while nothing runs', async () => {
    const { stderr, code } = await run('idle')
    expect(stderr).toContain('the GPU device was lost: lost on purpose')
    expect(code).toBe(1)
  }, 60_000)

  test('in a step: the stream ends with an error event', async () => {
    const { stdout, stderr, code } = await run('step')
    expect(stderr).toContain('the GPU device was lost: lost on purpose')
    const event = /^client: data: (.*)$/m.exec(stdout)?.[1] ?? '{}'
    expect(JSON.parse(event)).toMatchObject({
      error: { code: 'engine_fault', type: 'unavailable_error' },
    })
    expect(code).toBe(1)
  }, 60_000)
})
