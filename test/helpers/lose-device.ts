// `glaze serve` on the software driver whose device is lost on purpose: as soon as it exists
// (`loading`), when the server is up (`idle`), or with a request running (`step`).
import { dlopen, type Pointer, ptr } from 'bun:ffi'
import { parseCommandLine } from '../../src/command-line.ts'
import { OperatorError } from '../../src/errors.ts'
import { installSoftwareDriver } from '../../src/gpu/software.ts'
import { serve } from '../../src/serve.ts'

const moment = process.argv[2]
installSoftwareDriver()
const { createGPUInstance } = await import('bun-webgpu')
const { default: library } = await import(`bun-webgpu-${process.platform}-${process.arch}/index.ts`)
const { symbols } = dlopen(library, {
  wgpuDeviceForceLoss: { args: ['ptr', 'u32', 'ptr', 'u64'], returns: 'void' },
})

/** WGPUDeviceLostReason_Unknown of webgpu.h. */
const UNKNOWN = 1
const message = Buffer.from('lost on purpose')
let device: { ptr: Pointer } | undefined
const lose = () => symbols.wgpuDeviceForceLoss(device!.ptr, UNKNOWN, ptr(message), message.length)

const adapter = await createGPUInstance().requestAdapter({})
const prototype = Object.getPrototypeOf(adapter)
const { requestDevice } = prototype
prototype.requestDevice = async function (this: unknown, descriptor: unknown) {
  device = await requestDevice.call(this, descriptor)
  if (moment === 'loading') setTimeout(lose, 200)
  return device
}

let client: Promise<void> | undefined
const print = console.log
console.log = (text: string) => {
  print(text)
  const url = /^serving {2}(\S+)\/v1/.exec(text)?.[1]
  if (url === undefined) return
  if (moment === 'idle') lose()
  if (moment === 'step') client = complete(url)
}

async function complete(url: string): Promise<void> {
  const body = { prompt: 'Once', max_tokens: 100_000, ignore_eos: true, stream: true }
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  let text = ''
  for await (const chunk of response.body!) {
    if (text === '') lose()
    text += new TextDecoder().decode(chunk)
  }
  print(`client: ${text.trimEnd().split('\n').at(-1)}`)
}

const command = parseCommandLine(['serve', '--adapter', 'software', '--port', '0'], {})
if (command.command !== 'serve') throw new Error('not the serve command')
try {
  const code = await serve(command.options)
  await client
  process.exit(code)
} catch (error) {
  if (!(error instanceof OperatorError)) throw error
  console.error(`glaze: ${error.message}`)
  process.exit(1)
}
